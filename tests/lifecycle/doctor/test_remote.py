"""A real DVC remote in a folder, and data versions that it has or lacks."""

import shutil
from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.doctor import remote
from tests.lifecycle import raw_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two data versions."""
    made = raw_project.make(tmp_path / "root")
    for number in (1, 2):
        add_version.add(made, str(raw_project.write_tree(tmp_path / f"source{number}", {"a": 2, "b": number})))
    return made


def test_without_a_remote_there_is_nothing_to_say(root: Path, tmp_path: Path) -> None:
    assert remote.findings(root) == []
    assert remote.findings(tmp_path) == []


def test_what_only_this_machine_holds_is_told_and_pushed(root: Path, tmp_path: Path) -> None:
    working_copy.dvc(root, "remote", "add", "--default", "backup", str(tmp_path / "backup"))
    first, second = data_versions.versions(root)
    (finding,) = remote.findings(root)
    assert finding.must and finding.found.endswith(f"only here: data version {first.short}, {second.short}")
    working_copy.dvc(root, "push", "--quiet", "data/raw.dvc")
    (finding,) = remote.findings(root)
    assert finding.found.endswith(f"only here: data version {first.short}")
    assert finding.by_itself is not None and finding.by_itself().endswith(f": data version {first.short}")
    assert remote.findings(root) == []
    for place in (root / ".dvc/cache", root / "data/raw"):
        shutil.rmtree(place)
    restore.checkout(root, first)  # every file of it is there, not its listing alone
    assert len(list((root / "data/raw/images").rglob("*.png"))) == 3


def test_what_nobody_holds_any_more_is_worth_knowing(root: Path, tmp_path: Path) -> None:
    working_copy.dvc(root, "remote", "add", "--default", "backup", str(tmp_path / "backup"))
    remote.push(root)
    for place in (root / ".dvc/cache", tmp_path / "backup"):
        shutil.rmtree(place)
    (finding,) = remote.findings(root)
    assert not finding.must and "neither in DVC's cache nor in" in finding.found


def test_a_remote_that_cannot_be_asked_is_one_line(root: Path) -> None:
    working_copy.dvc(root, "remote", "add", "--default", "backup", "gs://nobody/installed/this")
    with pytest.raises(DataError, match="DVC's remote cannot be read: .*; see `dvc remote list`"):
        remote.findings(root)
