"""Files that several processes may write: one at a time, and the whole or nothing."""

import fcntl
import os
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


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` at once or not at all, also where the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def below(folder: Path) -> list[Path]:
    """Every file below a folder, in order; none where there is no folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
