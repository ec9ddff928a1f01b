"""Packed images stored as JPEG, a tenth of their pixels' size, and decoded in threads when they are read."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.errors import DataError

QUALITY = 95  # with colours at full resolution, so that little is lost
OFFSETS = "offsets.npy"  # beside the file of images


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


class JpegImages:
    """Images (N, S, S, C) in a file of JPEGs, to index like an array; nothing is decoded before it is asked for.

    file: the JPEGs one after another, with their N + 1 offsets in `OFFSETS` beside it.
    """

    ndim, dtype = 4, np.dtype(np.uint8)

    def __init__(self, file: Path) -> None:
        self.file = file
        self.offsets: NDArray[np.int64] = np.load(file.parent / OFFSETS, allow_pickle=False)
        self.content: NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r")
        if len(self.content) != self.offsets[-1]:
            raise DataError(
                f"{file} has {len(self.content):,} bytes, and its offsets end at {self.offsets[-1]:,}; "
                "bring both back with `dvc checkout --force`, or run stage ingest"
            )

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

        def read(row: int) -> None:
            found[row] = self._image(int(places[row]))

        # Pillow decodes without Python's lock. A row each, so that the order of the threads changes nothing.
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
            for _ in pool.map(read, range(len(places))):
                pass
        return found

    def _image(self, place: int) -> NDArray[np.uint8]:
        return from_jpeg(self.content[self.offsets[place] : self.offsets[place + 1]].tobytes())
