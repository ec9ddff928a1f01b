"""Lists the files below a folder: follows links and sets aside an operating system's own files."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kshot.data.folders.system_files import written_by
from kshot.errors import DataError
from kshot.lifecycle.sources.left_out import LeftOut

MOST_FILES = 5_000_000  # per source: folders that link to each other may seem to contain any number
DEEPEST = 100  # levels of nested folders


class Tree(NamedTuple):
    """files: paths below the folder; leaves: folders below it that contain no other folder."""

    files: list[Path]
    leaves: list[Path]
    left_out: list[LeftOut]


def walk(folder: Path) -> Tree:
    """Every regular file below `folder`, following symbolic links, sorted by name.

    Raises DataError for a loop of links, a folder that cannot be read, and for more than MOST_FILES files.
    """
    tree = Tree([], [], [])
    _walk(folder, Path(), {_identity(folder)}, tree)
    return tree


def _walk(folder: Path, below: Path, above: set[tuple[int, int]], tree: Tree) -> None:
    leaf = True
    if len(below.parts) > DEEPEST:
        raise DataError(f"{folder} lies more than {DEEPEST} folders deep; add a folder that is nearer to the images")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read ({error.strerror}); make it readable") from error
    for entry in entries:
        path, place = folder / entry.name, below / entry.name
        owner = written_by(entry.name)
        if owner:
            tree.left_out.extend(LeftOut(below / name, owner, counts=False) for name in _files_of(path))
            continue
        try:
            found = path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise DataError(f"{path} is a link in a loop of links; remove it") from error
            reason = "a link to nothing" if path.is_symlink() else f"cannot be read ({error.strerror})"
            tree.left_out.append(LeftOut(place, reason))
            if not place.suffix:  # it was a folder and may have been meant as a class
                tree.leaves.append(place)
            continue
        if stat.S_ISDIR(found.st_mode):
            leaf = False
            identity = (found.st_dev, found.st_ino)
            if identity in above:
                raise DataError(f"{path} is a link to a folder that it lies in, a loop; remove the link")
            _walk(path, place, above | {identity}, tree)
        elif stat.S_ISREG(found.st_mode):
            tree.files.append(place)
        else:
            tree.left_out.append(LeftOut(place, "no plain file (a device, a pipe or a socket)"))
        if len(tree.files) > MOST_FILES:
            raise DataError(f"{folder} holds over {MOST_FILES:,} files; add a part of them")
    if leaf and below.parts:
        tree.leaves.append(below)


def _files_of(path: Path) -> Iterator[Path]:
    """The files of `path` below its parent; links inside it are not followed."""
    if path.is_symlink() or not path.is_dir():
        yield Path(path.name)
        return
    for folder, _, names in os.walk(path):
        for name in names:
            yield (Path(folder) / name).relative_to(path.parent)


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
