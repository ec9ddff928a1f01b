"""Reads packed images in shards: files named by their md5, and the table `shards.json`: which rows are in which.

The rows of a shard of pixels are a .npy array (rows, S, S, C) uint8; those of JPEGs are read by `JpegImages`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kshot.data.jpeg_images import REMEDY, JpegImages, read_threads
from kshot.data.shards.joined_rows import JoinedRows, row_numbers
from kshot.errors import DataError

TABLE = "shards.json"
LAYOUT = 1  # of the table; a reader refuses a number that it does not know
SUFFIXES = {"pixels": ".npy", "jpeg": ".jpegs"}  # by `ingest.store`
Images = NDArray[np.uint8] | JpegImages


@dataclass(frozen=True)
class Shard:
    """One file of packed images.

    file   its name: the md5 of its content, and the suffix of the store
    rows   how many images it has
    bytes  its size
    """

    file: str
    rows: int
    bytes: int


def read_table(folder: Path) -> list[Shard]:
    """The shards of the table in `folder`. Raises DataError for a table of another kshot, or a damaged one."""
    path = folder / TABLE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        layout = table["layout"]
        if layout == LAYOUT:
            return [Shard(str(one["file"]), int(one["rows"]), int(one["bytes"])) for one in table["shards"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error}); {REMEDY}") from error
    raise DataError(f"{path} has layout {layout}, and this kshot reads {LAYOUT}; update kshot, or run stage ingest")


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether the shard's file is there with the content that it was written with; reads all of it."""
    return is_content(folder / shard.file, shard)


def is_content(path: Path, shard: Shard) -> bool:
    """Whether the file at `path`, of any name, is there with the shard's content; reads all of it."""
    return path.is_file() and path.stat().st_size == shard.bytes and md5_of(path) == Path(shard.file).stem


def open_shards(folder: Path) -> "Images | ShardedImages":
    """The packed images (N, S, S, C) in `folder`, memory-mapped: one array of pixels if there is one shard.

    Raises DataError that names a shard which is missing, cut short or of another form. A byte that was changed is found
    by `is_whole` alone, because that reads every image.
    """
    parts = [_opened(folder / shard.file, shard) for shard in read_table(folder)]
    if not parts:
        raise DataError(f"{folder / TABLE} lists no shard; {REMEDY}")
    return parts[0] if len(parts) == 1 else ShardedImages(parts)


def _opened(path: Path, shard: Shard) -> Images:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise DataError(f"the shard {path} of packed images is missing; {REMEDY}") from None
    if size != shard.bytes:
        raise DataError(f"the shard {path} of packed images has {size:,} bytes instead of {shard.bytes:,}; {REMEDY}")
    try:
        images = JpegImages(path) if path.suffix == SUFFIXES["jpeg"] else _array(path)
    except (ValueError, EOFError) as error:
        raise DataError(f"the shard {path} of packed images is damaged ({error}); {REMEDY}") from error
    if len(images) != shard.rows:
        raise DataError(f"the shard {path} has {len(images):,} images instead of {shard.rows:,}; {REMEDY}")
    return images


def _array(path: Path) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(f"it is {images.dtype} {images.shape}, and packed images are uint8 (N, S, S, C)")
    return images


class ShardedImages:
    """Images (N, S, S, C) in several shards, to index like an array."""

    ndim, dtype = 4, np.dtype(np.uint8)

    def __init__(self, parts: Sequence[Images]) -> None:
        self.parts = list(parts)
        self.ends = np.cumsum([len(part) for part in parts])
        mapped = [part.view(np.ndarray) for part in parts if not isinstance(part, JpegImages)]
        self.pixels = JoinedRows(mapped) if mapped else None

    def __len__(self) -> int:
        return int(self.ends[-1])

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """(N, S, S, C)."""
        return (len(self), *self.parts[0].shape[1:])

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return int(np.prod(self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """One image for a number; (M, S, S, C) for a slice, a list or an array of numbers."""
        if isinstance(key, int | np.integer):
            row = range(len(self))[int(key)]
            part = int(np.searchsorted(self.ends, row, side="right"))
            return self.parts[part][row - int(self.ends[part])]  # counted from the shard's end
        places = row_numbers(key, len(self))
        if self.pixels is not None:
            return self.pixels[places]
        found = np.empty((len(places), *self.shape[1:]), dtype=np.uint8)
        of = np.searchsorted(self.ends, places, side="right")
        read_threads(lambda row: self.parts[of[row]][places[row] - self.ends[of[row]]], found)
        return found


def md5_of(path: Path) -> str:
    """The md5 of a shard's content, which is its name."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
