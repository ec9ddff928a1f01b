"""Images to forget, and where they are held."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class ForgottenImage:
    """An image file to forget, by its content.

    md5, sha256, size  of the file; sha256 is '' and the size 0 if nothing here can read it any more
    pixels             the hash of its decoded pixels as stage ingest notes it, grey and in colour; () if undecodable
    """

    md5: str
    sha256: str
    size: int
    pixels: tuple[str, ...]


@dataclass(frozen=True)
class Forgotten:
    """The images to forget; `paths` of them below data/raw in any data version, `versions` that hold one of them."""

    images: tuple[ForgottenImage, ...]
    paths: frozenset[str]
    versions: frozenset[str]

    @cached_property
    def md5s(self) -> frozenset[str]:
        return frozenset(image.md5 for image in self.images)

    @cached_property
    def sha256s(self) -> frozenset[str]:
        return frozenset(image.sha256 for image in self.images if image.sha256)

    @cached_property
    def pixels(self) -> frozenset[str]:
        return frozenset(pixels for image in self.images for pixels in image.pixels)


@dataclass(frozen=True)
class Holding:
    """One thing that holds an image, or was computed from it.

    place  the name of the place that found it
    what   what it is: image, packed images, features, page, ...
    name   its hash, or a path that says nothing about an image
    at     where exactly, for the place itself
    size   in bytes
    """

    place: str
    what: str
    name: str
    at: str
    size: int


class Place(Protocol):
    """A place that may hold images, such as DVC's cache or a service's galleries."""

    @property
    def name(self) -> str: ...

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders in the project whose files this place deletes itself."""

    def find(self, wanted: Forgotten) -> list[Holding]:
        """Everything there that holds one of the images. Raises Unreached if the place cannot be asked."""

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Delete these; one that is gone already is no error. Raises Unreached."""


class Unreached(Exception):
    """A place could not be asked, or did not delete everything; its text says why, for a person."""


def size_of(holdings: Iterable[Holding]) -> int:
    return sum(one.size for one in holdings)
