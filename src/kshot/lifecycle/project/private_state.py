"""The folder .kshot of a project, private to one user: locks, tokens, checkpoints and Prefect's database."""

import os
from pathlib import Path

from kshot.lifecycle.project import layout

FOLDER, FILE = 0o700, 0o600
DATABASES = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal")


def private_state(root: Path) -> Path:
    """The folder .kshot of the project at `root`, created if missing; it and its databases are private to their owner.

    Files that another user owns are not changed: only their owner can restrict them.
    """
    state = root / layout.STATE
    state.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    databases = [path for folder in (state, state / "prefect") for kind in DATABASES for path in folder.glob(kind)]
    for path, mode in [(state, FOLDER), *((path, FILE) for path in databases)]:
        found = path.lstat()
        if found.st_uid == os.getuid() and not path.is_symlink() and found.st_mode & 0o777 & ~mode:
            path.chmod(found.st_mode & 0o777 & mode)
    return state


def private_database(path: Path) -> None:
    """Create a new database file that only its owner can read: SQLite gives its other files the same mode."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE))
