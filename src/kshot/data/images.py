"""Decodes and resizes images, and packs a whole data set into one memory-mapped array."""

import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from kshot.data.crop import crop_to_ink
from kshot.data.decoding_memory import BYTES_A_PIXEL, DECODING
from kshot.data.fit import fitted
from kshot.data.image_formats import LARGEST, Header, header_of, opened
from kshot.data.jpeg_images import from_jpeg, jpeg, offsets_block
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest

ImageArray = NDArray[np.uint8]
MODES = {1: "L", 3: "RGB"}
WINDOW = 512  # images in progress at once: limits the memory and keeps every core busy
READ_WHOLE = 1 << 22  # bytes; a larger file is hashed and decoded in parts, which bounds the memory
DEPTHS = (8, 12, 16)  # possible bit depths of the values in a 16-bit image


class Packed(NamedTuple):
    """One packed image: its source, and its properties before it was resized."""

    path: Path
    content: str  # md5 of size, mode and pixels at the original resolution: finds the same image in another file
    width: int
    height: int
    file: str  # md5 of the file


class Unreadable(NamedTuple):
    """A file that cannot be read as an image, and why."""

    path: Path
    reason: str
    file: str = ""  # md5 of the file; empty if its bytes cannot be read


class Stored(NamedTuple):
    """A packed image that an earlier run made from an equal file: fields as in `Packed`, and its bytes."""

    content: str
    width: int
    height: int
    packed: bytes


FindStored = Callable[[str], Stored | None]  # by the md5 of the file


def nothing_stored(md5: str) -> Stored | None:
    """No image was packed before."""
    return None


def decode(source: bytes | Path, channels: int) -> ImageArray:
    """The pixels of an image at its own size: uint8 (height, width, channels).

    channels 1 is luminance, 3 is RGB. Transparent pixels are composited on white, the camera's orientation is applied,
    and of several frames or pages the first is used. 16-bit values are reduced to 8 bits; if none exceeds 4,095 they
    are treated as 12-bit. Floats and 32-bit integers are scaled by the image's own range. Raises DataError for a file
    that is empty, truncated, or not in `image_formats.FORMATS`.
    """
    with decoded(source, channels) as pixels:
        return pixels


@contextmanager
def decoded(source: bytes | Path, channels: int, largest: int = LARGEST) -> Iterator[ImageArray]:
    """As `decode`, for a block, until whose end the image counts in the budget of `decoding_memory`.

    Also raises DataError for an image of more than `largest` pixels.
    """
    with decoded_with_header(source, channels, largest) as (_, pixels):
        yield pixels


@contextmanager
def decoded_with_header(
    source: bytes | Path, channels: int, largest: int = LARGEST
) -> Iterator[tuple[Header, ImageArray]]:
    """As `decoded`, with the image's header, of one opening of the file."""
    with ExitStack() as reserved:
        with opened(source, largest) as image:
            reserved.enter_context(DECODING.holding(image.width * image.height * BYTES_A_PIXEL))
            header = header_of(image)
            image.load()
            pixels = image_pixels(image, channels)
        # The file is closed: an error of the block is not taken for one of the image.
        yield header, pixels


def image_pixels(image: Image.Image, channels: int) -> ImageArray:
    """The pixels of an image that Pillow has opened, converted as by `decode`."""
    kind = image.format
    image.load()  # some formats hold the orientation behind the pixels
    # Pillow copies an image that it need not turn or convert: of a camera's 12 megapixels, 24 ms each time.
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    image = _to_8_bits(image, kind)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = MODES[channels]
    pixels: ImageArray = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], channels)


def _to_8_bits(image: Image.Image, kind: str | None) -> Image.Image:
    """Convert an image of 16 or 32 bits to 8 bits; Pillow's own conversion would clip everything above 255."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    deep = np.asarray(image)
    if image.mode == "F" or (image.mode == "I" and kind == "TIFF"):
        return Image.fromarray(_by_own_range(deep.astype(np.float64)))
    # 12-bit cameras and scanners write their values unscaled into 16 bits.
    highest = int(deep.max(initial=0))
    bits = next((bits for bits in DEPTHS if highest < 2**bits), 16)
    return Image.fromarray((deep.clip(0, 65535).astype(np.uint32) * 255 // (2**bits - 1)).astype(np.uint8))


def _by_own_range(values: NDArray[np.float64]) -> ImageArray:
    if not np.isfinite(values).all():
        raise DataError("it holds values that are no numbers (NaN or infinite); needs finite ones")
    low, high = values.min(), values.max()
    scaled: ImageArray = np.rint((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    return scaled


def prepare(pixels: ImageArray, ingest: Ingest) -> ImageArray:
    """Prepare a decoded image as model input: uint8 (size, size, channels), resized with antialiasing.

    pixels (height, width, channels) uint8. `invert` turns dark ink on light paper into light on dark; `crop: ink` crops
    to the square around the drawing; `fit` says how another shape becomes a square (`kshot.data.fit`). With `store:
    jpeg` the pixels are those that the stored JPEG decodes to, so that a served model sees what evaluation saw.
    """
    square = _square(pixels, ingest)
    return from_jpeg(jpeg(square)) if ingest.store == "jpeg" else square


def _square(pixels: ImageArray, ingest: Ingest) -> ImageArray:
    if ingest.crop == "ink":
        pixels = crop_to_ink(pixels)
    square = fitted(pixels, ingest.size, ingest.fit)
    return 255 - square if ingest.invert else square


def content_hash(pixels: ImageArray) -> str:
    """md5 (32 hex) of a decoded image's shape and pixels."""
    digest = hashlib.md5(repr(pixels.shape).encode(), usedforsecurity=False)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def pack(
    paths: Iterable[Path], file: Path, ingest: Ingest, stored: FindStored = nothing_stored
) -> Iterator[Packed | Unreadable]:
    """Decode each image that is not `stored`, in order, and append the readable ones to the .npy array at `file`.

    The array is uint8 (readable, size, size, channels); it is complete when the iterator is exhausted. Memory does not
    grow with the number of images or of cores.
    """
    count = 0
    with file.open("wb") as out:
        _write_header(out, 0, ingest)
        for record, content in _read(paths, ingest, lambda pixels: prepare(pixels, ingest).tobytes(), stored):
            if content is not None:
                out.write(content)
                count += 1
            yield record
        # The number of rows is known only now; numpy reserves space in the header for the first axis to grow.
        out.seek(0)
        _write_header(out, count, ingest)


def pack_jpegs(
    paths: Iterable[Path], file: Path, ingest: Ingest, stored: FindStored = nothing_stored
) -> Iterator[Packed | Unreadable]:
    """As `pack`, into a file of JPEGs that `JpegImages` reads."""
    ends = [0]
    with file.open("wb") as out:
        for record, content in _read(paths, ingest, lambda pixels: jpeg(_square(pixels, ingest)), stored):
            if content is not None:
                out.write(content)
                ends.append(ends[-1] + len(content))
            yield record
        out.write(offsets_block(ends))


def _read(
    paths: Iterable[Path], ingest: Ingest, pack_one: Callable[[ImageArray], bytes], stored: FindStored
) -> Iterator[tuple[Packed | Unreadable, bytes | None]]:
    """Yield each image's record with its packed bytes, stored or decoded and packed in a thread; None if unreadable."""

    def read(path: Path) -> tuple[Packed | Unreadable, bytes | None]:
        file = ""
        try:
            source, file = _opened_once(path)
            if (known := stored(file)) is not None:
                return Packed(path, known.content, known.width, known.height, file), known.packed
            with decoded(source, ingest.channels) as pixels:
                height, width = pixels.shape[:2]
                return Packed(path, content_hash(pixels), width, height, file), pack_one(pixels)
        except (DataError, OSError) as error:
            return Unreadable(path, str(error), file), None

    rest = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while window := list(itertools.islice(rest, WINDOW)):
            yield from pool.map(read, window)


def _opened_once(path: Path) -> tuple[bytes | Path, str]:
    """The bytes of a file, or its path if it is large, and its md5."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < READ_WHOLE:
            content = file.read()
            return content, hashlib.md5(content, usedforsecurity=False).hexdigest()
        return path, hashlib.file_digest(file, "md5").hexdigest()


def _write_header(out: io.BufferedWriter, count: int, ingest: Ingest) -> None:
    shape = (count, ingest.size, ingest.size, ingest.channels)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
