"""The image formats that kshot opens, and the facts in a file's header."""

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from kshot.errors import DataError

# Decoders inside Pillow that start no program and open no other file. Not among them: EPS (runs Ghostscript), WMF and
# the other stubs that call a handler, FPX, MIC, and rare formats whose header says too little to be told from noise.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000"),
    *("ICO", "QOI", "SGI", "SUN", "PCX", "TGA"),
)
LARGEST = 89_478_485  # pixels, where Pillow starts to warn of a decompression bomb


class Header(NamedTuple):
    """What a file says of its image before it is decoded. `frames`: whether it holds more than one."""

    format: str
    mode: str
    width: int
    height: int
    frames: bool

    @property
    def pixels(self) -> int:
        return self.width * self.height


def read_header(source: bytes | Path) -> Header:
    """The header of an image. Raises DataError for a file that is empty, too large, or of none of FORMATS."""
    with opened(source) as image:
        # A phone's JPEG may carry a second, smaller image (MPO): that is no animation.
        frames = bool(getattr(image, "is_animated", False)) and image.format != "MPO"
        return Header(image.format or "", image.mode, image.width, image.height, frames)


@contextmanager
def opened(source: bytes | Path, largest: int = LARGEST) -> Iterator[Image.Image]:
    """The image of a file, its header read and its pixels not yet.

    Raises DataError in one line for whatever is wrong with the content, in the block too, and OSError for a file that
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
        if error.errno is not None:  # of the disk, not of the decoder: it may not be read, it is gone
            raise
        raise DataError(f"it cannot be decoded: {' '.join(str(error).split())}") from None
    except Exception as error:  # whatever a broken file leads a decoder into: struct.error, zlib.error, IndexError, ...
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"it cannot be decoded: {text}") from None


@functools.cache
def _available() -> tuple[str, ...]:
    """FORMATS without those that this build of Pillow does not know."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
