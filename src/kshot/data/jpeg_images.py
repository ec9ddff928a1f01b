"""Packed images stored as JPEG, a tenth of their pixels' size, and decoded in threads when they are read."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.errors import DataError

QUALITY = 95  # with colours at full resolution, so that little is lost
OFFSETS = "offsets.npy"  # next to the file of images, where an older kshot wrote it
REMEDY = "bring it back with `dvc checkout --force ingest`, or make it again with `dvc repro ingest`"
COUNT = np.dtype("<i8")  # of offsets, at the end of the file


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image, uint8 (height, width, channels), as JPEG."""
    buffer = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(flat).save(buffer, format="JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def from_jpeg(content: bytes) -> NDArray[np.uint8]:
    """Decode an image that `jpeg` encoded: uint8 (height, width, channels)."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def offsets_block(ends: Sequence[int]) -> bytes:
    """The end of a file of JPEGs: the N + 1 offsets of the images, and N + 1."""
    return np.array([*ends, len(ends)], dtype=COUNT).tobytes()


def read_threads(read: Callable[[int], NDArray[np.uint8]], found: NDArray[np.uint8]) -> None:
    """Set each row of `found` to the image that `read` decodes, in threads: Pillow decodes without Python's lock."""

    def one(row: int) -> None:
        found[row] = read(row)  # a row each, so that the order of the threads changes nothing

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        for _ in pool.map(one, range(len(found))):
            pass


class JpegImages:
    """Images (N, S, S, C) in a file of JPEGs, to index like an array; an image is decoded when it is read.

    file: the JPEGs one after another, then `offsets_block`; the offsets of an older kshot are in `OFFSETS` beside it.
    """

    ndim, dtype = 4, np.dtype(np.uint8)

    def __init__(self, file: Path) -> None:
        self.file = file
        self.content: NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r")
        older = file.parent / OFFSETS
        self.offsets = np.load(older, allow_pickle=False) if older.exists() else self._own_offsets()
        images = len(self.content) - (0 if older.exists() else (len(self.offsets) + 1) * COUNT.itemsize)
        if images != self.offsets[-1]:
            raise DataError(
                f"{file} has {images:,} bytes of images, and its offsets end at {self.offsets[-1]:,}; {REMEDY}"
            )

    def _own_offsets(self) -> NDArray[np.int64]:
        count = int(self.content[-COUNT.itemsize :].view(COUNT)[0])
        if not 0 < count < len(self.content) // COUNT.itemsize:
            raise DataError(f"{self.file} does not end with its offsets; {REMEDY}")
        # Copied, because a block that begins at any byte is not aligned.
        block = self.content[-(count + 1) * COUNT.itemsize : -COUNT.itemsize].tobytes()
        return np.frombuffer(block, dtype=COUNT)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S, C)."""
        return (len(self), *self._image(0).shape)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """One image for a number; (M, S, S, C) for a slice, a list or an array of numbers."""
        if isinstance(key, int | np.integer):
            return self._image(range(len(self))[int(key)])
        places = np.arange(len(self))[key]
        found = np.empty((len(places), *self.shape[1:]), dtype=np.uint8)
        read_threads(lambda row: self._image(int(places[row])), found)
        return found

    def encoded(self, place: int) -> bytes:
        """The JPEG of an image."""
        return self.content[self.offsets[place] : self.offsets[place + 1]].tobytes()

    def _image(self, place: int) -> NDArray[np.uint8]:
        return from_jpeg(self.encoded(place))
