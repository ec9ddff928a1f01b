"""Prepares images of every accepted kind in the same way as a model's training images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.data.images import ImageArray, content_hash, decoded, image_pixels, prepare
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest

Images = Iterable[Any]  # paths, bytes of image files, PIL images or uint8 arrays; or one array (N, H, W, C)
KINDS = "a path, the bytes of an image file, a PIL image or a uint8 array (H, W) or (H, W, C)"
RGB = 3  # channels
THREADS = 4  # decoding releases Python's global lock; more threads were not tried
T = TypeVar("T")


def as_list(images: Images, what: str = "images") -> list[Any]:
    """`images` as a list. Raises DataError for a single image, for no image, and for an array of another shape."""
    if isinstance(images, str | bytes | Path | Image.Image):
        raise DataError(f"{what} is one {type(images).__name__}; needs a list of images, such as [image]")
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OUS" and images.ndim != 4:
        raise DataError(
            f"{what} is an array of shape {images.shape}; needs (N, H, W, C): "
            "array[None] makes one image a batch, array[..., None] gives grey images their channel"
        )
    try:
        found = list(images)
    except TypeError:
        raise DataError(
            f"{what} is {type(images).__name__}; needs a list of images, or an array (N, H, W, C)"
        ) from None
    if not found:
        raise DataError(f"{what} holds no image; needs at least one")
    return found


def prepared(images: Images, ingest: Ingest, what: str = "images") -> NDArray[np.uint8]:
    """Decode, crop, resize and invert each image as `ingest` says: uint8 (N, size, size, channels).

    The steps are those of stage ingest and of the served model. Raises DataError that names the first image that
    cannot be used, and for arrays of different channels in one list.
    """

    def prepare_one(image: Any) -> ImageArray:
        with _decoded(image, ingest.channels) as pixels:
            return prepare(pixels, ingest)

    return np.stack(_of_each(images, what, prepare_one))


def prepared_and_hashed(images: Images, ingest: Ingest, what: str = "images") -> tuple[NDArray[np.uint8], list[str]]:
    """As `prepared`, with the hash of each decoded image in RGB, which is the same for every `ingest`."""

    def prepare_one(image: Any) -> tuple[ImageArray, str]:
        with _decoded(image, RGB) as colour:
            found = content_hash(colour)
            if ingest.channels == RGB:
                return prepare(colour, ingest), found
        with _decoded(image, ingest.channels) as pixels:
            return prepare(pixels, ingest), found

    pixels, hashes = zip(*_of_each(images, what, prepare_one), strict=True)
    return np.stack(pixels), list(hashes)


def _of_each(images: Images, what: str, use: Callable[[Any], T]) -> list[T]:
    """What `use` makes of each image, in threads. Raises DataError that names the first image that it cannot use."""
    found = as_list(images, what)
    _check_channels(found, what)
    # An object that is listed several times is used once: Pillow loads an image lazily, and in one thread only.
    first: dict[int, int] = {}
    for place, image in enumerate(found):
        first.setdefault(id(image), place)

    def use_one(place: int) -> T:
        image, name = found[place], f"{what}[{place}]"
        name = f"{name} ({image})" if isinstance(image, str | Path) else name
        try:
            return use(image)
        except DataError as error:
            raise DataError(f"{name}: {error}") from None
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror or ' '.join(str(error).split())}") from None

    with ThreadPoolExecutor(THREADS) as pool:
        made = dict(zip(first, pool.map(use_one, first.values()), strict=True))
    return [made[id(image)] for image in found]


@contextmanager
def _decoded(image: Any, channels: int) -> Iterator[ImageArray]:
    """The pixels of an image of any kind, for a block. Raises DataError and OSError."""
    if isinstance(image, str | Path | bytes):
        with decoded(image if isinstance(image, bytes) else Path(image), channels) as pixels:
            yield pixels
        return
    opened = image if isinstance(image, Image.Image) else _from_array(image)
    try:
        pixels = image_pixels(opened, channels)
    except (DataError, OSError):
        raise
    except Exception as error:  # Pillow raises anything: ValueError for a closed file or a mode, SyntaxError, ...
        raise DataError(f"it cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from None
    yield pixels


def _from_array(image: Any) -> Image.Image:
    if not isinstance(image, np.ndarray):
        raise DataError(f"it is {type(image).__name__}; needs {KINDS}")
    if image.dtype != np.uint8:
        raise DataError(
            f"it is an array of {image.dtype}; needs uint8 in [0, 255]: "
            "(255 * array).astype('uint8') for values in [0, 1]"
        )
    flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (3, 4))) or not flat.size:
        raise DataError(f"it is an array of shape {image.shape}; needs (H, W), or (H, W, C) with 1, 3 or 4 channels")
    return Image.fromarray(np.ascontiguousarray(flat))


def _check_channels(images: Sequence[Any], what: str) -> None:
    """Raise DataError for arrays with different numbers of channels; different sizes are allowed."""
    shapes = [image.shape for image in images if isinstance(image, np.ndarray)]
    other = next((shape for shape in shapes if shape[2:] != shapes[0][2:]), None)
    if other is not None:
        raise DataError(f"{what} holds arrays of shape {shapes[0]} and {other}; needs as many channels in each")
