"""Files that several processes may write: one at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kshot.lifecycle import layout


@contextmanager
def exclusive(root: Path, name: str) -> Iterator[None]:
    """Let one process of this machine at a time into the block; the others wait."""
    path = root / layout.STATE / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
