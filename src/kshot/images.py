"""Pictures in, packed pixels out: decoding, resizing, and one memory-mapped array for a whole data set."""

import hashlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kshot.errors import DataError
from kshot.ink import crop_to_ink
from kshot.params import Ingest

Pixels = NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}
LARGEST = 89_478_485  # pixels, where Pillow starts to warn of a decompression bomb
WINDOW = 512  # pictures under way at once: bounds the memory, keeps every core busy


class Packed(NamedTuple):
    """One packed picture: where it came from, and what it was before it was resized."""

    path: Path
    content: str  # md5 of size, mode and pixels at the original resolution: the same picture in another file is found
    width: int
    height: int


class Unreadable(NamedTuple):
    """A file that is no picture, and why."""

    path: Path
    reason: str


def decode(source: bytes | Path, channels: int) -> Pixels:
    """The pixels of a picture at its own size: uint8 (height, width, channels).

    channels 1 is luminance, 3 RGB; transparency is laid on white; the camera's orientation is applied. Raises
    DataError for a file that is empty, truncated, or no picture.
    """
    data = source.read_bytes() if isinstance(source, Path) else source
    if not data:
        raise DataError("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > LARGEST:
                raise DataError(f"it has {image.width} x {image.height} pixels; needs at most {LARGEST:,} in all")
            image.load()
            picture = _to_8_bits(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise DataError("it is no picture that can be read") from None
    except DataError:
        raise
    except Exception as error:  # whatever a broken file leads a decoder into: struct.error, zlib.error, IndexError, ...
        told = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"it cannot be decoded: {told}") from None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    pixels = np.asarray(picture.convert(MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits as one of 8; Pillow's own conversion cuts everything above 255 off."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture).clip(0, 65535).astype(np.uint32)
        return Image.fromarray((deep // 257).astype(np.uint8))
    return picture


def prepare(pixels: Pixels, ingest: Ingest) -> Pixels:
    """What a model is shown of a decoded picture: uint8 (size, size, channels), resized with antialiasing.

    pixels (height, width, channels) uint8. `invert` turns dark ink on light paper into light on dark; `crop` may leave
    of the picture the square around its ink alone.
    """
    if ingest.crop == "ink":
        pixels = crop_to_ink(pixels)
    size, channels = ingest.size, ingest.channels
    flat = pixels[:, :, 0] if channels == 1 else pixels
    resized = np.asarray(Image.fromarray(flat).resize((size, size), Image.Resampling.LANCZOS))
    return (255 - resized if ingest.invert else resized).reshape(size, size, channels)


def content_hash(pixels: Pixels) -> str:
    """md5 (32 hex) of a decoded picture's shape and pixels."""
    return hashlib.md5(repr(pixels.shape).encode() + pixels.tobytes(), usedforsecurity=False).hexdigest()


def pack(paths: Iterable[Path], file: Path, ingest: Ingest) -> Iterator[Packed | Unreadable]:
    """Decode each picture once, in order, and append what is readable to the .npy array at `file`.

    The array is uint8 (readable, size, size, channels); it is complete once the iterator is. Memory does not grow with
    the number of pictures.
    """

    def read(path: Path) -> tuple[Packed | Unreadable, Pixels | None]:
        try:
            pixels = decode(path, ingest.channels)
        except (DataError, OSError) as error:
            return Unreadable(path, str(error)), None
        height, width = pixels.shape[:2]
        return Packed(path, content_hash(pixels), width, height), prepare(pixels, ingest)

    rest, count = iter(paths), 0
    with file.open("wb") as out, ThreadPoolExecutor(os.cpu_count()) as pool:
        _write_header(out, 0, ingest)
        while window := list(itertools.islice(rest, WINDOW)):
            for record, pixels in pool.map(read, window):
                if pixels is not None:
                    out.write(pixels.tobytes())
                    count += 1
                yield record
        # The number of rows is known only now; numpy leaves room in the header for the first axis to grow.
        out.seek(0)
        _write_header(out, count, ingest)


def _write_header(out: io.BufferedWriter, count: int, ingest: Ingest) -> None:
    shape = (count, ingest.size, ingest.size, ingest.channels)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
