"""Features in shards: files named by their md5, and the table `features.json` of the shards of each view."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kshot.data.shards.joined_rows import JoinedRows, row_numbers
from kshot.data.shards.packed_shards import Shard, md5_of
from kshot.errors import DataError

TABLE = "features.json"
LAYOUT = 1  # of the table; a reader refuses a number that it does not know
SUFFIX = ".npy"
REMEDY = "bring it back with `dvc checkout --force embed`, or make it again with `dvc repro embed`"
Features = NDArray[np.float32]


class ShardedFeatures:
    """Features (M, width) float32 in several shards, to index like an array."""

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, parts: Sequence[Features]) -> None:
        self.rows = JoinedRows([part.view(np.ndarray) for part in parts])

    def __len__(self) -> int:
        return int(self.rows.ends[-1])

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(M, width)."""
        return len(self), int(self.rows.row_shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all features."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, key: Any) -> Features:
        """One row for a number; (B, width) for a slice, a list or an array of numbers."""
        if isinstance(key, int | np.integer):
            row: Features = self.rows[row_numbers([key], len(self))][0]
            return row
        return self.rows[row_numbers(key, len(self))]


def write_features_shard(rows: Features, folder: Path, part: str) -> Shard:
    """Write features (M, width) as a shard into `folder`. `part`: its name until it is complete."""
    file = folder / f"{part}{SUFFIX}"
    try:
        np.save(file, rows)
    except OSError:  # a full disk: what is left of the shard is of no use
        file.unlink(missing_ok=True)
        raise
    written = file.rename(folder / f"{md5_of(file)}{SUFFIX}")
    return Shard(written.name, len(rows), written.stat().st_size)


def write_features_table(folder: Path, views: Sequence[Sequence[Shard]]) -> None:
    """Write the table of the shards of each view, in the order of their rows."""
    table = {"layout": LAYOUT, "views": [[asdict(shard) for shard in view] for view in views]}
    (folder / TABLE).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def read_features_table(folder: Path) -> list[list[Shard]]:
    """The shards of each view by the table in `folder`. Raises DataError for a damaged one or another kshot's."""
    path = folder / TABLE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        layout = table["layout"]
        if layout == LAYOUT:
            return [[Shard(**one) for one in view] for view in table["views"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error}); {REMEDY}") from error
    raise DataError(f"{path} has layout {layout}, and this kshot reads {LAYOUT}; update kshot, or run stage embed")


def open_features(folder: Path, view: int) -> Features | ShardedFeatures:
    """The features of a view, memory-mapped: one array if there is one shard.

    Raises DataError that names a table or shard which is missing, damaged or of another kshot.
    """
    views = read_features_table(folder)
    if not 0 <= view < len(views):
        raise DataError(f"{folder / TABLE} has {len(views)} views and not view {view}; {REMEDY}")
    parts = [_opened(folder / shard.file, shard) for shard in views[view]]
    return parts[0] if len(parts) == 1 else ShardedFeatures(parts)


def _opened(path: Path, shard: Shard) -> Features:
    try:
        rows: Features = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"the shard {path} of features is missing; {REMEDY}") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"the shard {path} of features is damaged ({error}); {REMEDY}") from error
    if rows.ndim != 2 or rows.dtype != np.float32 or len(rows) != shard.rows:
        raise DataError(f"the shard {path} is {rows.dtype} {rows.shape} instead of {shard.rows:,} features; {REMEDY}")
    return rows
