"""A run at one commit: which commit, one run at a time, in a temporary worktree, with that worktree's code."""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kshot.flows import at_commit
from kshot.lifecycle.project import project_lock
from tests.flows.project import REPOSITORY


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A clone of a repository with one commit."""
    origin = tmp_path / "origin"
    (origin / "src/kshot/flows").mkdir(parents=True)
    (origin / "src/kshot/flows/__init__.py").write_text("")
    (origin / "src/kshot/__init__.py").write_text("WHO = 'the commit'\n")
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "one")
    git(tmp_path, "clone", "-q", "origin", "home")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_commit, "get_run_logger", lambda: logging.getLogger("test"))


def test_a_remotes_branch_is_fetched_and_a_local_one_is_not(home: Path) -> None:
    before = at_commit.resolve(home, "origin/main")
    git(home.parent / "origin", "commit", "-q", "--allow-empty", "-m", "two")
    assert at_commit.resolve(home, "main") == before
    assert at_commit.resolve(home, "origin/main") == git(home.parent / "origin", "rev-parse", "HEAD").strip() != before


def test_a_commit_that_is_not_there_and_a_folder_without_git_are_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(at_commit.CommitError, match=r"'v9' is no commit of .*; needs a branch, a tag or a hash"):
        at_commit.resolve(home, "v9")
    (tmp_path / "bare").mkdir()
    with pytest.raises(at_commit.CommitError, match=r"bare is no git repository; needs one with a commit: git init"):
        at_commit.resolve(tmp_path / "bare", "HEAD")


def test_a_repository_without_a_commit_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(at_commit.CommitError, match="'HEAD' is no commit of"):
        at_commit.resolve(tmp_path, "HEAD")


def test_edits_in_the_project_are_not_in_the_worktree(home: Path) -> None:
    (home / "src/kshot/__init__.py").write_text("WHO = 'an edit'\n")
    with at_commit.checked_out(home, at_commit.resolve(home, "HEAD")) as tree:
        assert (tree / "src/kshot/__init__.py").read_text() == "WHO = 'the commit'\n"
    assert not tree.exists()
    assert (home / "src/kshot/__init__.py").read_text() == "WHO = 'an edit'\n"


def test_what_a_killed_run_left_is_in_nobodys_way(home: Path) -> None:
    commit = at_commit.resolve(home, "HEAD")
    killed = at_commit.checked_out(home, commit)
    tree = killed.__enter__()
    (tree / "half").write_text("written")
    with at_commit.checked_out(home, commit) as again:
        assert again == tree and not (tree / "half").exists()


def test_a_project_in_a_subfolder_of_its_repository_is_that_folder_of_the_worktree(home: Path) -> None:
    (home / "shop").mkdir()
    (home / "shop/params.yaml").write_text("project: shop\n")
    uncommitted = at_commit.checked_out(home / "shop", at_commit.resolve(home / "shop", "HEAD"))
    with pytest.raises(at_commit.CommitError, match="has no folder shop; commit it first"), uncommitted:
        pass
    git(home, "add", ".")
    git(home, "commit", "-qm", "shop")
    with at_commit.checked_out(home / "shop", at_commit.resolve(home / "shop", "HEAD")) as tree:
        assert (tree / "params.yaml").read_text() == "project: shop\n"
    assert not [*(home / "shop/.kshot").glob("worktree*")]


def test_kshot_comes_from_the_worktree_here_and_in_the_stages(home: Path) -> None:
    (home / "src/kshot/__init__.py").write_text("WHO = 'an edit'\n")
    code = f"""
import subprocess, sys
sys.path.insert(0, {str(REPOSITORY / "src")!r})
from kshot.flows import at_commit
from pathlib import Path
with at_commit.checked_out(Path({str(home)!r}), "HEAD") as tree:
    at_commit.use_code_of(tree)
    import kshot
    print(kshot.WHO)
    print(subprocess.check_output([sys.executable, "-c", "import kshot; print(kshot.WHO)"], text=True))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split("\n")[:2] == ["the commit", "the commit"]


def test_of_two_runs_one_is_skipped_or_waits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, order = threading.Event(), []

    def second() -> None:
        with at_commit.alone(home, wait=True) as other:
            order.append(f"second, beside {other!r}")

    with at_commit.alone(home, wait=False) as free:
        assert free == ""
        with at_commit.alone(home, wait=False) as other:
            assert other
        waiting = threading.Thread(target=second)
        waiting.start()
        entered.wait(1.5)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second, beside ''"]


def test_no_start_is_skipped_for_a_command_that_deletes_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pruning.close())
    pruning = contextlib.ExitStack()
    pruning.enter_context(project_lock.hold(home, "kshot prune", project_lock.SCHEDULED))
    with at_commit.alone(home, wait=False) as other:
        assert other == ""
