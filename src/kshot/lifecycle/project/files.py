"""Files that several processes may write: one process at a time, and completely or not at all."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kshot.lifecycle.project.private_state import private_state

CHUNK = 1 << 20
Advance = Callable[[int], object]  # called with the number of bytes hashed


@contextmanager
def exclusive(root: Path, name: str) -> Iterator[None]:
    """Let one process of this machine at a time into the block; others wait."""
    path = private_state(root) / f"{name}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` in UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of `path` atomically, even if the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted; empty if there is no folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def file_md5(path: Path, advance: Advance | None = None) -> str:
    """The md5 of a file's bytes."""
    digest = hashlib.md5()
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
            if advance is not None:
                advance(len(part))
    return digest.hexdigest()
