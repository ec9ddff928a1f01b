"""Image files by the sha256 of their content: in a folder, or at an fsspec address such as s3://bucket/galleries."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from kshot.errors import KshotError
from kshot.redaction import redacted

MODE = 0o600
WRITING_S = 3600.0
SHA256 = re.compile("[0-9a-f]{64}")
OWNER = "kshot-store"  # file at an address: the id of the database whose images lie there


class ImageFiles(Protocol):
    """Files that are written once and never changed. Raises OSError for a disk or bucket that cannot be used."""

    def put(self, sha256: str, content: bytes) -> None:
        """Write the file unless it is there; it is whole and on the disk when this returns."""

    def read(self, sha256: str) -> bytes:
        """The content. Raises FileNotFoundError."""

    def has(self, sha256: str) -> bool: ...

    def delete(self, sha256: str) -> None:
        """Remove the file if it is there."""

    def all(self) -> Iterator[str]:
        """The name of every file: its sha256, or what a killed process left of one."""


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FolderImages:
    """Images in a local folder: ab/cd... by the first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, sha256: str, content: bytes) -> None:
        path = self._path(sha256)
        if path.exists():
            return
        path.parent.mkdir(exist_ok=True, mode=0o700)
        # Two writers of one image write the same bytes; each needs a file of its own until it is whole.
        fresh = path.with_name(f"{sha256}.{os.getpid()}-{os.urandom(4).hex()}")
        try:
            descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            _sync_folder(path.parent)
        finally:
            fresh.unlink(missing_ok=True)

    def read(self, sha256: str) -> bytes:
        return self._path(sha256).read_bytes()

    def has(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def delete(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        for path in sorted(self.folder.glob("??/*")):
            # A file that another process is writing now is not listed.
            if "." not in path.name or path.stat().st_mtime < time.time() - WRITING_S:
                yield path.name

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


class AddressImages:
    """Images at an fsspec address; a store that writes an object at once or not at all, as buckets do."""

    def __init__(self, address: str) -> None:
        try:
            import fsspec

            files, path = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise KshotError(
                f"images cannot be stored at {redacted(address)}: {' '.join(str(error).split())}; install what it names"
            ) from error
        self.files: Any = files
        self.path = str(path).rstrip("/")
        self.files.makedirs(self.path, exist_ok=True)

    def put(self, sha256: str, content: bytes) -> None:
        if not self.has(sha256):
            self.files.pipe_file(self._path(sha256), content)

    def read(self, sha256: str) -> bytes:
        return bytes(self.files.cat_file(self._path(sha256)))

    def has(self, sha256: str) -> bool:
        self.files.invalidate_cache()
        return bool(self.files.exists(self._path(sha256)))

    def delete(self, sha256: str) -> None:
        if self.has(sha256):
            self.files.rm_file(self._path(sha256))

    def all(self) -> Iterator[str]:
        """Only names that are a sha256: whatever else lies at the address is not the store's to delete."""
        self.files.invalidate_cache()
        names = sorted(str(path).rpartition("/")[2] for path in self.files.ls(self.path, detail=False))
        yield from filter(SHA256.fullmatch, names)

    def owner(self) -> str:
        """The id of the database that the images belong to; '' if none has claimed the address."""
        return self.read(OWNER).decode("utf-8", "replace") if self.has(OWNER) else ""

    def claim(self, owner: str) -> None:
        """Note the id of the database that the images belong to."""
        self.files.pipe_file(self._path(OWNER), owner.encode())

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}"


def open_images(address: str | None, folder: Path) -> ImageFiles:
    """The images at `address`, an fsspec URL; in `folder` if it is None."""
    return FolderImages(folder) if address is None else AddressImages(address)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
