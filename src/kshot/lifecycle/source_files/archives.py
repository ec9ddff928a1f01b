"""Unpacks an untrusted .zip or .tar: nothing outside the folder, no links, no bomb, in bounded memory."""

import bz2
import errno
import gzip
import io
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

from kshot.errors import DataError
from kshot.lifecycle.source_files.shown_names import quoted
from kshot.lifecycle.source_files.zip_names import zip_names

LARGEST_RATIO = 100  # unpacked bytes over packed bytes: images are already compressed and stay far below it
SMALL = 2**20  # bytes that are never a bomb
MOST_ENTRIES = 1_000_000
LARGEST_HEADER = 2**20  # bytes of one tar header: a name of 900 MB is refused before it is read
LARGEST_DIRECTORY = 2**26  # bytes of a zip's directory, which is read in one go
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
BY_HAND = "unpack it by hand if you trust it, and add the folder"
DRIVE = re.compile(r"[A-Za-z]:")

DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, NotImplementedError),  # truncated; encrypted; compressed by a method unknown to Python
)
CLASHES = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)  # a member's name that no disk can store
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


class Member(NamedTuple):
    """One entry of an archive: its name with forward slashes; `content` is None for a folder."""

    name: str
    size: int
    content: IO[bytes] | None


class TooLarge(Exception):
    """A read of more bytes than any valid header has."""


class Bounded(io.RawIOBase):
    """A file that refuses to read more than `most` bytes at once, so that no header fills the memory."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most

    def read(self, size: int = -1, /) -> bytes:
        if size > self._most:
            raise TooLarge
        if size >= 0:
            return self._file.read(size)
        content = self._file.read(self._most + 1)
        if len(content) > self._most:
            raise TooLarge
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def is_archive(path: Path) -> bool:
    """Whether `path` is an archive, by its suffix or its first bytes."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06", *OPENERS)) or start[257:262] == b"ustar"


def unpack(archive: Path, folder: Path) -> list[str]:
    """Write every file and folder of `archive` below `folder`. Returns notes for a person about the names in it.

    Raises DataError for

    - a file that is not an archive, or is damaged or encrypted
    - a member whose path leads out of the archive, that is a link or a device, or whose name occurs twice
    - an archive with more than MOST_ENTRIES files
    - an archive that unpacks to more than 100 times its size, or to more than the free space on the disk

    All of this is checked before a byte is written, and the size again while writing.
    """
    try:
        with archive.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            if start.startswith(b"PK"):
                return _unpack_zip(archive, folder, file)
            opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
            with opener(file) if opener else file as plain:
                _unpack_tar(archive, folder, plain)
            return []
    except TooLarge:
        raise DataError(f"{archive} has a header larger than any sound archive's; {BY_HAND}") from None
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, *CLASHES):
            raise  # a full disk or an unreadable file: not the archive's fault
        raise DataError(f"{archive} cannot be unpacked ({_cause(start, error)}); needs a sound .zip or .tar") from error


def _cause(start: bytes, error: Exception) -> str:
    """Why a file that begins with `start` is no sound archive; a failed download is named as one."""
    if start.lstrip().startswith(b"<"):
        return "it is a web page: download it again"
    if start.startswith(b"PK") and str(error) == "File is not a zip file":  # zipfile found no directory at the end
        return "its end is missing: copy or download it again"
    return " ".join(str(error).split())


def _unpack_zip(archive: Path, folder: Path, file: IO[bytes]) -> list[str]:
    # zipfile reads the whole directory at once.
    with zipfile.ZipFile(cast(IO[bytes], Bounded(file, LARGEST_DIRECTORY))) as packed:
        entries = packed.infolist()
        names, note = zip_names(entries)
        check = _Checker(archive, folder)
        for entry, name in zip(entries, names, strict=True):
            kind = stat.S_IFMT(entry.external_attr >> 16)
            check.add(name, entry.file_size, plain=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if entry.flag_bits & 1:
                raise DataError(
                    f"{archive} is encrypted; needs one without a password: unpack it by hand and add the folder"
                )
        _write(archive, folder, _zip_members(packed, entries, names))
    return note


def _zip_members(packed: zipfile.ZipFile, entries: list[zipfile.ZipInfo], names: list[str]) -> Iterator[Member]:
    for entry, name in zip(entries, names, strict=True):
        if name.endswith("/"):
            yield Member(name, 0, None)
            continue
        with packed.open(entry) as content:
            yield Member(name, entry.file_size, content)


def _unpack_tar(archive: Path, folder: Path, file: IO[bytes]) -> None:
    # Read twice from the start, so that the entries, of which there may be many, are not stored.
    check = _Checker(archive, folder)
    for _, entry in _tar_entries(file):
        check.add(_tar_name(entry), entry.size if entry.isfile() else 0, plain=entry.isfile() or entry.isdir())
        check.total(file.tell())
    while rest := file.read(SMALL):  # the checksum of a compressed tar comes after its last block
        check.total(file.tell())
        del rest
    file.seek(0)
    _write(archive, folder, _tar_members(file))


def _tar_entries(file: IO[bytes]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with tarfile.open(fileobj=cast(IO[bytes], Bounded(file, LARGEST_HEADER)), mode="r:") as packed:
        while (entry := packed.next()) is not None:
            packed.members.clear()  # type: ignore[attr-defined]  # otherwise it stores every entry
            if sum(map(len, packed.pax_headers)) > LARGEST_HEADER:
                raise TooLarge
            yield packed, entry


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    for packed, entry in _tar_entries(file):
        if entry.isdir():
            yield Member(_tar_name(entry), 0, None)
            continue
        content = packed.extractfile(entry)
        assert content is not None
        with content:
            yield Member(_tar_name(entry), entry.size, content)


def _tar_name(entry: tarfile.TarInfo) -> str:
    return f"{entry.name.rstrip('/')}/" if entry.isdir() else entry.name


class _Checker:
    """Checks an archive before a byte of it is written."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive, self.folder = archive, folder
        self.packed = archive.stat().st_size
        folder.mkdir(parents=True, exist_ok=True)
        self.free = shutil.disk_usage(folder).free
        self.bytes = 0
        self.names: set[str] = set()

    def add(self, name: str, size: int, *, plain: bool) -> None:
        """Raise DataError if this member, after all members before it, must not be unpacked."""
        holds = f"{self.archive} holds {quoted(name)}"
        if not plain:
            raise DataError(f"{holds}, a link or device; needs only plain files: {BY_HAND}")
        path = PurePosixPath(name.replace("\\", "/"))
        if name.endswith("/") and not path.parts:
            return  # "./", the folder itself
        if not path.parts or path.is_absolute() or ".." in path.parts or DRIVE.match(path.parts[0]) or "\0" in name:
            raise DataError(f"{holds}, which climbs out of it; needs paths inside the archive")
        if not name.endswith("/"):
            if str(path) in self.names:
                raise DataError(f"{holds} twice; needs every name once: {BY_HAND}")
            self.names.add(str(path))
        if len(self.names) > MOST_ENTRIES:
            raise DataError(f"{self.archive} holds over {MOST_ENTRIES:,} files; {BY_HAND}")
        self.bytes += size
        self.total(self.bytes)

    def total(self, unpacked: int) -> None:
        """Raise DataError if that many bytes are suspicious for the archive's size, or exceed the free space."""
        if unpacked > max(SMALL, LARGEST_RATIO * self.packed):
            raise DataError(
                f"{self.archive} is {self.packed:,} bytes and unpacks to {unpacked:,} or more, over {LARGEST_RATIO} "
                f"times its size; {BY_HAND}"
            )
        if unpacked > self.free:
            raise DataError(
                f"{self.archive} unpacks to {unpacked:,} bytes or more, and the disk has room for {self.free:,}; "
                "free some space"
            )


def _write(archive: Path, folder: Path, members: Iterable[Member]) -> None:
    for member in members:
        target = folder / PurePosixPath(member.name)
        if member.content is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            shutil.copyfileobj(member.content, out, SMALL)
        if target.stat().st_size > member.size:
            raise DataError(
                f"{archive} says {quoted(member.name)} has {member.size:,} bytes, and it has more; "
                "needs a sound archive"
            )
