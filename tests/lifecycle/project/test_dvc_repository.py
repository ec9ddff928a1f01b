"""Where git refuses the folder, every command that opens DVC says so with git's remedy, and none calls it a defect."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.changes import add_version
from tests.lifecycle import raw_project

REMEDY = "is in no git repository; run `git init` here and commit, then the same command"


@pytest.fixture(scope="module")
def without_git(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two data versions, copied without its .git."""
    folder = tmp_path_factory.mktemp("without_git")
    root = raw_project.make(folder / "project")
    for number in (2, 3):
        add_version.add(root, str(raw_project.write_tree(folder / f"{number}", {"a": number, "b": number})))
    shutil.rmtree(root / ".git")
    return root


@pytest.mark.parametrize(
    "command",
    [
        lambda old, new: ["data", "diff", old, new],
        lambda old, new: ["data", "show", old],
        lambda old, new: ["data", "restore", old],
        lambda old, new: ["plan"],
        lambda old, new: ["fit-settings"],
        lambda old, new: ["forget", "--class", "a"],
    ],
    ids=["diff", "show", "restore", "plan", "fit-settings", "forget"],
)
def test_without_a_repository_every_command_names_git_init(
    without_git: Path,
    command: Callable[[str, str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(without_git)
    old, new = (version.short for version in data_versions.versions(without_git))
    assert cli.main(command(old, new)) != 0
    assert capsys.readouterr().err.strip() == f"kshot: error: {without_git} {REMEDY}"
