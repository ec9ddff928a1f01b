"""Puts a folder's files back after a block. Only what the block changed is copied: a project has hundreds of files."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """Tells whether a file was changed; the time of its last change cannot be set, unlike that of its content."""

    inode: int
    size: int
    changed_ns: int


# For each folder of copies: the stamp that the original of each copy had.
_copied: dict[Path, dict[Path, Stamp]] = {}
_open: set[Path] = set()


@contextmanager
def put_back(folder: Path, copies: Path) -> Iterator[None]:
    """Put the files and folders of `folder` back after the block. `copies` may be the same for the next block."""
    assert copies not in _open, f"a block within the block would overwrite {copies}"
    _open.add(copies)
    folders, files = _found(folder)
    stamps = _copied.setdefault(copies, {})
    for name, stamp in files.items():
        if stamps.get(name) != stamp:
            _copy(folder / name, copies / name)
            stamps[name] = stamp
    try:
        yield
    finally:
        _open.remove(copies)
        folder.mkdir(exist_ok=True)
        folders_now, files_now = _found(folder)
        for name in files_now.keys() - files.keys():
            (folder / name).unlink()
        for name in sorted(folders_now - folders, reverse=True):
            (folder / name).rmdir()
        for name in sorted(folders - folders_now):
            (folder / name).mkdir()
        for name, stamp in files.items():
            if files_now.get(name) != stamp:
                (folder / name).unlink(missing_ok=True)
                _copy(copies / name, folder / name)
                stamps[name] = _stamp(folder / name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _found(folder: Path) -> tuple[set[Path], dict[Path, Stamp]]:
    """The folders and the files below `folder`."""
    folders: set[Path] = set()
    files: dict[Path, Stamp] = {}
    for place, names, others in os.walk(folder):
        here = Path(place).relative_to(folder)
        folders |= {here / name for name in names}
        files |= {here / name: _stamp(Path(place, name)) for name in others}
    return folders, files


def _stamp(path: Path) -> Stamp:
    found = path.lstat()
    return Stamp(found.st_ino, found.st_size, found.st_ctime_ns)
