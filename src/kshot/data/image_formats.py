"""The image formats that kshot opens, and the properties in a file's header."""

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from kshot.errors import DataError

# Decoders inside Pillow that start no program and open no other file. Excluded: EPS (runs Ghostscript), WMF and the
# other stubs that call a handler, FPX, MIC, and rare formats whose header is hard to distinguish from noise.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000"),
    *("ICO", "QOI", "SGI", "SUN", "PCX", "TGA"),
)
SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "JPEG2000": ".jp2",
    "TIFF": ".tif",
    "SUN": ".ras",
}  # others: the format's name
LARGEST = 89_478_485  # pixels, where Pillow starts to warn of a decompression bomb


@functools.cache
def image_endings() -> frozenset[str]:
    """The endings of file names, such as .jpg, that Pillow knows for these formats."""
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in FORMATS)


class Header(NamedTuple):
    """Properties of an image, read before it is decoded. `frames`: whether the file has more than one frame."""

    format: str
    mode: str
    width: int
    height: int
    frames: bool

    @property
    def pixels(self) -> int:
        return self.width * self.height


def read_header(source: bytes | Path) -> Header:
    """Read the header of an image. Raises DataError for a file that is empty, too large, or not in FORMATS."""
    with opened(source) as image:
        return header_of(image)


def header_of(image: Image.Image) -> Header:
    """The properties of an image that is open."""
    # A phone's JPEG may contain a second, smaller image (MPO), which is not an animation.
    frames = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    return Header(image.format or "", image.mode, image.width, image.height, frames)


def suffix_of(content: bytes) -> str:
    """The suffix of a file with this content, such as ".png"; "" for content that is no image."""
    try:
        found = read_header(content).format
    except DataError:
        return ""
    return SUFFIXES.get(found, f".{found.lower()}")


@contextmanager
def opened(source: bytes | Path, largest: int = LARGEST) -> Iterator[Image.Image]:
    """Open an image for a block: its header is read, its pixels are not yet.

    Raises DataError with one line for any fault of the content, also inside the block, and OSError for a file that
    cannot be read.
    """
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            if not file.read(1):
                raise DataError("the file is empty")
            with Image.open(file, formats=_available()) as image:
                if image.width * image.height > largest:
                    raise DataError(f"it has {image.width} x {image.height} pixels; needs at most {largest:,} in all")
                yield image
    except UnidentifiedImageError:
        raise DataError("it is no image that can be read") from None
    except DataError:
        raise
    except OSError as error:
        if error.errno is not None:  # an error of the disk, not of the decoder: no permission, file removed
            raise
        raise DataError(f"it cannot be decoded: {' '.join(str(error).split())}") from None
    except Exception as error:  # broken files make decoders raise anything: struct.error, zlib.error, IndexError, ...
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"it cannot be decoded: {text}") from None


@functools.cache
def _available() -> tuple[str, ...]:
    """The FORMATS that this build of Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
