"""Finds an image inside an archive: a .zip, or a .tar that may be compressed. Nothing is unpacked, nothing is deleted.

An archive is a person's own file, which may hold much else: `kshot forget` names it and leaves it to them. Archives
inside archives, and those that are encrypted or damaged, are not looked into: docs/forget.md.
"""

import functools
import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from kshot.lifecycle.forget.holding import Forgotten
from kshot.lifecycle.source_files.archives import DAMAGED, OPENERS

ARCHIVE = "archive with the image"  # what a Holding of such a file is
CHUNK = 1 << 20
ZIP, TAR, TAR_AT = (b"PK\x03\x04", b"PK\x05\x06"), b"ustar", 257
START = 512  # bytes that tell an archive


def member_of(file: IO[bytes], wanted: Forgotten) -> str:
    """The name of the first member that is one of the images; '' if none is, and for a file that is no archive."""
    start = file.read(START)
    file.seek(0)
    sizes = {image.size for image in wanted.images}
    is_any = 0 in sizes  # the size of an image that nothing here can read any more is not known
    try:
        for name, size, content in _members(file, start):
            if (is_any or size in sizes) and _md5(content()) in wanted.md5s:
                return name
    except (*DAMAGED, OSError, ValueError):
        return ""
    return ""


def _members(file: IO[bytes], start: bytes) -> Iterator[tuple[str, int, Callable[[], IO[bytes] | None]]]:
    """Name, size and content of each file in the archive."""
    if start.startswith(ZIP):
        with zipfile.ZipFile(file) as packed:
            for entry in packed.infolist():
                yield entry.filename, entry.file_size, functools.partial(packed.open, entry)
        return
    opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
    if opener is None and start[TAR_AT : TAR_AT + len(TAR)] != TAR:
        return
    with opener(file) if opener else file as plain, tarfile.open(fileobj=plain, mode="r|") as tape:
        for one in tape:
            if one.isfile():
                yield one.name, one.size, functools.partial(tape.extractfile, one)


def _md5(content: IO[bytes] | None) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    assert content is not None  # as tarfile returns for folders and devices
    with content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
