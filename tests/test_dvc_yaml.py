"""dvc.yaml: one name for each stage everywhere, paths as in layout.py, and the fingerprints of its code."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import code_read
from kshot.params.schema import Params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_its_fingerprints_and_no_file_of_code(name: str) -> None:
    assert STAGES[name]["params"][0] == {code_read.place_of(name).as_posix(): None}  # None: every file in it counts
    assert not [dep for dep in STAGES[name]["deps"] if dep.endswith(".py")]


def keys(name: str) -> list[str]:
    """The params of params.yaml that a stage names."""
    return [key for key in STAGES[name]["params"] if isinstance(key, str)]


@pytest.mark.parametrize("name", STAGES)
def test_stage_module_command_and_section_bear_one_name(name: str) -> None:
    assert STAGES[name]["cmd"] == f"python -m kshot.lifecycle.stages.{name}"
    assert (SOURCE / "kshot/lifecycle/stages" / f"{name}.py").is_file()
    assert name in {key.split(".")[0] for key in keys(name)}
    assert {key.split(".")[0] for key in keys(name)} <= set(Params.__dataclass_fields__)


@pytest.mark.parametrize("name", STAGES)
def test_no_section_hides_a_param_from_the_run_cache(name: str) -> None:
    # DVC's key of a run leaves out whatever is called so, params too: another size would bring old images back.
    hidden = {"size", "nfiles"}
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for place in keys(name):
        value = params
        for part in place.split("."):
            value = value[part]
        assert not hidden & keys_of(value), f"{name}: name the params of {place} one by one"


def keys_of(value: Any) -> set[str]:
    """The keys of a mapping and of all that it holds."""
    return set(value).union(*map(keys_of, value.values())) if isinstance(value, dict) else set()


def test_layout_and_dvc_yaml_name_the_same_places() -> None:
    places = {value.as_posix() for value in vars(layout).values() if isinstance(value, Path)}
    outputs = set()
    for stage in STAGES.values():
        for kind in ("outs", "metrics", "plots"):
            outputs |= {entry if isinstance(entry, str) else next(iter(entry)) for entry in stage.get(kind, [])}
    assert outputs <= places, f"dvc.yaml writes what layout.py does not know: {sorted(outputs - places)}"
    written_elsewhere = {layout.RAW, layout.RAW_DVC, layout.VERSIONS, layout.NAMES, layout.REPORT, layout.STATE}
    written_elsewhere |= {layout.MLRUNS, layout.FINGERPRINTS, layout.RESOLVED, layout.FEEDBACK}
    written_elsewhere |= {layout.ERASURES, layout.FORGETTING, layout.UNFINISHED}
    assert places - outputs == {path.as_posix() for path in written_elsewhere}


def test_every_file_that_a_stage_reads_is_written_by_one_or_added() -> None:
    outputs = [entry for stage in STAGES.values() for entry in stage["outs"]] + [layout.RAW.as_posix()]
    for name, stage in STAGES.items():
        for dep in stage["deps"]:
            assert any(dep == out or dep.startswith(f"{out}/") for out in outputs), f"{name} reads {dep}"


def test_a_new_project_has_the_same_graph() -> None:
    template = SOURCE / "kshot/template/dvc.yaml"
    assert template.read_text(encoding="utf-8") == (ROOT / "dvc.yaml").read_text(encoding="utf-8")


def test_the_graph_fits_a_screen() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) < 90


def test_a_fresh_clone_lists_this_project_alone_and_says_what_writes_the_fingerprints() -> None:
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        assert {Path(stage.path).parent for stage in repo.index.stages if stage.name} == {ROOT}
    assert "`kshot plan` writes them" in (ROOT / layout.FINGERPRINTS / "README.md").read_text()
