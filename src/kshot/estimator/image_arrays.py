"""Prepares images of every accepted kind in the same way as a model's training images."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.data.images import decoded, image_pixels, prepare
from kshot.errors import DataError
from kshot.params.schema import Ingest

Images = Iterable[Any]  # paths, bytes of image files, PIL images or uint8 arrays; or one array (N, H, W, C)
KINDS = "a path, the bytes of an image file, a PIL image or a uint8 array (H, W) or (H, W, C)"
THREADS = 4  # decoding releases Python's global lock; more threads were not tried


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
    found = as_list(images, what)
    _check_channels(found, what)
    with ThreadPoolExecutor(THREADS) as pool:
        pixels = list(pool.map(lambda place: _prepared(found[place], ingest, f"{what}[{place}]"), range(len(found))))
    return np.stack(pixels)


def _prepared(image: Any, ingest: Ingest, name: str) -> NDArray[np.uint8]:
    try:
        if isinstance(image, str | Path):
            name = f"{name} ({image})"
            with decoded(Path(image), ingest.channels) as pixels:
                return prepare(pixels, ingest)
        if isinstance(image, bytes):
            with decoded(image, ingest.channels) as pixels:
                return prepare(pixels, ingest)
        opened = image if isinstance(image, Image.Image) else _from_array(image)
        return prepare(image_pixels(opened, ingest.channels), ingest)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or ' '.join(str(error).split())}") from None


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
    shapes = [image.shape[2:] for image in images if isinstance(image, np.ndarray)]
    if len(set(shapes)) > 1:
        first, other = images[0].shape, next(image.shape for image in images if image.shape[2:] != images[0].shape[2:])
        raise DataError(f"{what} holds arrays of shape {first} and {other}; needs as many channels in each")
