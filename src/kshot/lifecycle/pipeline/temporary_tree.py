"""A temporary git worktree in a project's .kshot; the next one removes the worktrees of killed processes."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from kshot.lifecycle.project import git
from kshot.lifecycle.project.private_state import private_state


@contextlib.contextmanager
def detached(root: Path, prefix: str, commit: str) -> Iterator[Path]:
    """The top of a worktree of the project's repository at `commit`, removed after the block.

    Its folder is named by `prefix` and this process. Raises GitFailed.
    """
    clear(root, prefix)
    place = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=private_state(root))).resolve()
    try:
        git.run(root, "worktree", "add", "--quiet", "--detach", "--force", str(place), commit)
        yield place
    finally:
        remove(root, place)


def project_in(root: Path, place: Path) -> Path:
    """The folder in the worktree `place` that corresponds to the project at `root`."""
    return place / git.text(root, "rev-parse", "--show-prefix").strip()


def clear(root: Path, prefix: str) -> None:
    """Remove the worktrees of processes that are gone."""
    for left in private_state(root).glob(f"{prefix}*-*"):
        number = left.name.removeprefix(prefix).partition("-")[0]
        if not number.isdecimal() or not psutil.pid_exists(int(number)):
            remove(root, left)


def remove(root: Path, place: Path) -> None:
    """Remove a worktree, and the links in it but not their targets."""
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(git.GitFailed):
        git.run(root, "worktree", "prune")
