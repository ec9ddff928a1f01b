"""Unpack a .zip or .tar without trusting it: nothing outside the folder, no links, no bomb."""

import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from kshot.errors import DataError

LARGEST_RATIO = 100  # unpacked bytes over packed bytes: pictures are compressed already and come nowhere near it
SMALL = 2**20  # bytes that are never a bomb
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, NotImplementedError),  # cut short; encrypted; packed in a way that Python does not know
)
CLASHES = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)  # a member's name that no disk can hold


def is_archive(path: Path) -> bool:
    """Whether the name of `path` ends like an archive's."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Write every file of `archive` below `folder`.

    Raises DataError for a file that is no archive or is damaged, for a member whose path climbs out or that is a link
    or a device, and for one that unpacks to more than 100 times its size; how much it unpacks to is checked before a
    byte is written, and again while it is.
    """
    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as packed:
                _write(archive, folder, _zip_members(archive, packed))
        else:
            with tarfile.open(archive) as packed_tar:
                _write(archive, folder, _tar_members(archive, packed_tar))
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, *CLASHES):
            raise  # the disk is full, the file may not be read: nothing that the archive is to blame for
        raise DataError(
            f"{archive} cannot be unpacked ({' '.join(str(error).split())}); needs a sound .zip or .tar"
        ) from error


Member = tuple[str, int, IO[bytes]]


def _zip_members(archive: Path, packed: zipfile.ZipFile) -> Iterator[Member]:
    entries = [entry for entry in packed.infolist() if not entry.is_dir()]
    _check_total(archive, sum(entry.file_size for entry in entries))
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise DataError(f"{archive} holds {entry.filename!r}, a link or device; needs plain files alone")
        _check_path(archive, entry.filename)
    for entry in entries:
        with packed.open(entry) as content:
            yield entry.filename, entry.file_size, content


def _tar_members(archive: Path, packed: tarfile.TarFile) -> Iterator[Member]:
    total, entries = 0, []
    for entry in packed:
        total += entry.size
        _check_total(archive, total)
        if entry.isdir():
            continue
        if not entry.isfile():
            raise DataError(f"{archive} holds {entry.name!r}, a link or device; needs plain files alone")
        _check_path(archive, entry.name)
        entries.append(entry)
    for entry in entries:
        content = packed.extractfile(entry)
        assert content is not None
        with content:
            yield entry.name, entry.size, content
    # The checksum of a packed tar stands behind its last block, which nobody has read yet.
    assert packed.fileobj is not None
    while rest := packed.fileobj.read(SMALL):
        total += len(rest)
        _check_total(archive, total)


def _check_total(archive: Path, unpacked: int) -> None:
    packed = archive.stat().st_size
    if unpacked > max(SMALL, LARGEST_RATIO * packed):
        raise DataError(
            f"{archive} is {packed:,} bytes and unpacks to {unpacked:,} or more, over {LARGEST_RATIO} times its size; "
            "unpack it by hand if you trust it, and add the folder"
        )


def _check_path(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise DataError(f"{archive} holds {name!r}, which climbs out of it; needs paths inside the archive")


def _write(archive: Path, folder: Path, members: Iterator[Member]) -> None:
    for name, size, content in members:
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(content, out)
        if target.stat().st_size > size:
            raise DataError(f"{archive} says {name!r} has {size:,} bytes, and it has more; needs a sound archive")
