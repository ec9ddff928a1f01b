"""Temporary worktrees: removed at the end, and those of killed processes by the next one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot.lifecycle.pipeline import temporary_tree
from kshot.lifecycle.project import git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in a folder of its repository."""
    project = tmp_path / "repository/project"
    project.mkdir(parents=True)
    (project / "params.yaml").write_text("committed")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", *identity, *command], cwd=project, check=True)
    return project


def trees(root: Path) -> int:
    return len(git.text(root, "worktree", "list").splitlines()) - 1


def test_the_tree_is_the_commits_and_gone_after_the_block(root: Path) -> None:
    (root / "params.yaml").write_text("edited")
    with temporary_tree.detached(root, "try-", "HEAD") as place:
        assert (temporary_tree.project_in(root, place) / "params.yaml").read_text() == "committed"
        assert trees(root) == 1
    assert not place.exists() and trees(root) == 0


def test_what_a_killed_process_left_is_removed_and_a_running_ones_stays(root: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = root / ".kshot" / f"try-{int(ended.stdout)}-x"
    (root / ".kshot").mkdir()
    git.run(root, "worktree", "add", "--quiet", "--detach", str(left), "HEAD")
    with temporary_tree.detached(root, "try-", "HEAD") as first:
        assert not left.exists()
        with temporary_tree.detached(root, "try-", "HEAD") as second:
            assert first.exists() and second.name.startswith(f"try-{os.getpid()}-")
    assert trees(root) == 0


def test_a_commit_that_is_not_there_leaves_no_folder(root: Path) -> None:
    with pytest.raises(git.GitFailed), temporary_tree.detached(root, "try-", "v9"):
        pass
    assert list((root / ".kshot").iterdir()) == []
