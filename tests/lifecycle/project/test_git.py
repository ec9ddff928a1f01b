"""Calls of git: a person's settings, environment and hooks do not change the result."""

import os
import subprocess
from pathlib import Path

import pytest

from kshot.errors import NotReproduced
from kshot.lifecycle.project import git
from kshot.lifecycle.reproduce import tree
from kshot.lifecycle.tracking.lineage import code_state, git_state
from kshot.lifecycle.tracking.uncommitted import difference
from tests.lifecycle.finished_project import commit, write_lock

HOSTILE = """
[diff]
    external = /bin/false
    noprefix = true
    mnemonicPrefix = true
    relative = true
    orderFile = /no/such/file
[color]
    ui = always
[core]
    quotePath = true
    fsmonitor = /bin/false
    pager = /bin/false
[status]
    short = true
    showUntrackedFiles = all
[apply]
    whitespace = error
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository" / "project"
    (root / "src").mkdir(parents=True)
    (root / "src/code.py").write_text("one = 1\n")
    write_lock(root)
    commit(root.parent)
    return root


@pytest.fixture
def edited(repository: Path) -> Path:
    (repository / "src/code.py").write_text("one = 2  \n")
    (repository / "src/ny å.py").write_text("two = 2\n")
    return repository


def test_settings_of_a_person_change_nothing(edited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, patch = git_state(edited), difference(edited).patch
    (tmp_path / "config").write_text(HOSTILE)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert (git_state(edited), difference(edited).patch) == (state, patch)
    assert b"+one = 2" in patch and b"+two = 2" in patch


def test_a_textconv_of_the_project_stays_out_of_the_patch(edited: Path) -> None:
    (edited.parent / ".gitattributes").write_text("*.py diff=upper\n")
    subprocess.run(["git", "config", "diff.upper.textconv", "tr a-z A-Z <"], cwd=edited, check=True)
    assert b"+one = 2" in difference(edited).patch


def test_the_patch_of_a_project_below_the_top_fits_the_commit(edited: Path, tmp_path: Path) -> None:
    (tmp_path / "patch").write_bytes(difference(edited).patch)
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(edited.parent), str(other)], check=True)
    git.run(other, "apply", str(tmp_path / "patch"))
    assert (other / "project/src/code.py").read_text() == "one = 2  \n"
    assert (other / "project/src/ny å.py").read_text() == "two = 2\n"


def test_a_git_hook_that_runs_kshot_leads_it_to_no_other_repository(
    edited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = git_state(edited)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert git_state(edited) == state


def test_a_lock_of_another_git_command_stops_nothing(edited: Path) -> None:
    (edited.parent / ".git/index.lock").touch()
    assert git_state(edited)[1] and difference(edited).patch


def test_links_that_lead_nowhere_are_no_code(repository: Path) -> None:
    (repository / "src/.#code.py").symlink_to("ada@host.1234:1700000000")
    (repository / "src/round.py").symlink_to("round.py")
    assert not git_state(repository)[1] and difference(repository).patch == b""


def test_without_a_program_git_the_reason_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(git.NoGit, match="there is no git on this machine"):
        git_state(repository)


def test_a_full_disk_is_named_instead_of_a_damaged_record(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'fatal: unable to write file a.py: No space left on device' >&2\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    line = r"the disk is full \(git worktree\); free some space and run the same command again$"
    with pytest.raises(git.NoRoom, match=line):
        git.run(repository, "worktree", "add", "x")
    with pytest.raises(NotReproduced, match=line):
        tree.git(repository, "worktree", "add", "x")


def test_outside_of_any_repository_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(git.NoRepository, match="is in no git repository; run `git init` here"):
        git_state(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_owner_is_refused_with_the_reason_and_the_remedy(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    for path in (repository.parent, repository.parent / ".git"):
        os.chown(path, 1234, 1234)
    with pytest.raises(git.GitFailed, match="dubious ownership .*; needs: git config --global --add safe.directory"):
        git_state(repository)
    assert "dubious ownership" in code_state(repository).unrecorded


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert git.commit(tmp_path) == ""
    assert "has no commit yet" in code_state(tmp_path).unrecorded


def test_the_reason_is_gits_own() -> None:
    assert git.why("warning: x\nfatal: Unable to create 'index.lock': File exists.\n\nAnother process\n", 128) == (
        "Unable to create 'index.lock': File exists."
    )
    assert git.why("", 3) == "exit code 3"
