"""The files that are the code of a reproduced stage: from a clone, from the kshot in use, or newly installed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.reproduce import difference
from kshot.lifecycle.reproduce.difference import Difference
from kshot.lifecycle.tracking.installed import SOURCE, WHEEL, Package
from tests import plugin_distribution
from tests.lifecycle.installed_wheel import install

ERRORS = "kshot/errors.py"


@dataclass
class Recorded:
    """As much of a Subject as is compared."""

    md5: str
    name: str = ERRORS
    lock: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.lock = {"train": {"params": {"fingerprints/train.json": {self.name: self.md5}}}}

    def input(self, path: str) -> dict[str, str]:
        return {"md5": difference.folder_md5(Path(path), [])}


def code_that_differs(tree: Path, md5: str, package: Path | None = None) -> list[str]:
    return [one.what for one in difference.inputs(cast(Subject, Recorded(md5)), tree, package)]


def test_the_code_is_that_of_the_clone_else_of_the_kshot_in_use_else_what_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use = install(tmp_path, monkeypatch, "4.0.0", {"kshot/__init__.py": "", ERRORS: "used = 1\n"})
    fresh, tree = tmp_path / "fresh", tmp_path / "tree"
    for place, text in ((fresh, "fresh = 1\n"), (tree / "src", "clone = 1\n")):
        (place / ERRORS).parent.mkdir(parents=True)
        (place / ERRORS).write_text(text)
    (tree / layout.RAW).mkdir(parents=True)
    (tree / "params.yaml").write_text(yaml.safe_dump({}))
    assert code_that_differs(tree, file_md5(tree / "src" / ERRORS)) == []
    assert code_that_differs(tree, file_md5(fresh / ERRORS), fresh) == []
    assert code_that_differs(tree, file_md5(in_use / ERRORS)) == [ERRORS]
    (tree / "src/kshot").rename(tmp_path / "away")
    assert code_that_differs(tree, file_md5(in_use / ERRORS)) == []
    assert code_that_differs(tree, file_md5(fresh / ERRORS)) == [ERRORS]


def test_another_version_than_the_wheel_that_made_a_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "4.0.0", {"kshot/__init__.py": ""})
    assert difference.other_version(Package("3.4.5", WHEEL)) == (Difference("kshot", "3.4.5", "4.0.0"),)
    assert difference.other_version(Package("4.0.0", WHEEL)) == ()
    assert difference.other_version(Package("3.4.5", SOURCE)) == ()


def test_the_code_of_a_plugin_is_what_is_installed_in_use_or_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, fresh, in_use = (tmp_path / name for name in ("tree", "fresh", "in_use"))
    (tree / layout.RAW).mkdir(parents=True)
    (tree / "params.yaml").write_text("{}")
    name = "kshot-extra:extra/loss.py"
    for place, text in ((fresh, "fresh = 1\n"), (in_use, "used = 1\n")):
        plugin_distribution.install(place, {"extra/loss.py": text}, {})
    used, new = (cast(Subject, Recorded(file_md5(place / "extra/loss.py"), name)) for place in (in_use, fresh))
    (missing,) = difference.inputs(used, tree)
    assert (missing.what, missing.here) == (name, difference.NOTHING)
    monkeypatch.syspath_prepend(str(in_use))
    assert difference.inputs(used, tree) == () and difference.inputs(new, tree, None, fresh) == ()
    assert [one.what for one in difference.inputs(new, tree)] == [name]
