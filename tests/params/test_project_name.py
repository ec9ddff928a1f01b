"""A project has one name, and an invalid name is refused in one line."""

from pathlib import Path

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params import project_name
from kshot.params.schema import load_params

SHIPPED = Path(__file__).parents[2] / "params.yaml"


def named(root: Path, line: str) -> Path:
    text = SHIPPED.read_text().replace("project: kshot ", f"{line} ")
    assert f"{line} " in text
    (root / "params.yaml").write_text(text)
    return root


@pytest.mark.parametrize(
    ("line", "name"),
    [("project: shop", "shop"), ("project: '2024'", "2024"), ("'project': a.b_c-D #", "a.b_c-D")],
)
def test_the_line_names_the_project(tmp_path: Path, line: str, name: str) -> None:
    assert project_name.of(named(tmp_path, line)) == name
    assert load_params(tmp_path / "params.yaml").project == name


def test_a_project_of_before_goes_on_as_kshot(tmp_path: Path) -> None:
    mapping = yaml.safe_load(SHIPPED.read_text())
    assert mapping.pop("project") == "kshot"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(mapping))
    assert project_name.of(tmp_path) == load_params(tmp_path / "params.yaml").project == "kshot"


@pytest.mark.parametrize("value", ["_shop", "'a b'", "a/b", "''", "é", "2024", "null", "[a]", "a" * 64, "Default"])
def test_what_is_no_name_is_refused_by_both_readers(tmp_path: Path, value: str) -> None:
    named(tmp_path, f"project: {value}")
    for read in (lambda: project_name.of(tmp_path), lambda: load_params(tmp_path / "params.yaml")):
        with pytest.raises(ParamsError, match=r"^params\.yaml: project is [^\n]*$"):
            read()


@pytest.mark.parametrize("line", ["project: a\nproject: b", "project: [a"])
def test_a_line_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ParamsError, match=r"^params\.yaml: [^\n]*$"):
        project_name.of(named(tmp_path, line))


def test_a_mistake_elsewhere_in_the_file_keeps_nobody_from_the_name(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("project: shop\ntrain: [\n")
    assert project_name.of(tmp_path) == "shop"
