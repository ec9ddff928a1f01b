"""The folder .kshot of a project, which belongs to one person: locks, tokens, checkpoints and Prefect's database."""

import os
from pathlib import Path

from kshot.lifecycle.project import layout

FOLDER, FILE = 0o700, 0o600
DATABASES = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal")


def private_state(root: Path) -> Path:
    """The folder .kshot of the project at `root`, made where it is new, open to its owner alone; so its databases.

    What another person owns stays as it is: only its owner can close it.
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
    """Make the file of a database that is new, open to its owner alone: SQLite gives its other files the same mode."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, FILE))
