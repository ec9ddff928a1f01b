"""Reads the output of stages ingest, split and episodes for training and evaluation."""

from collections.abc import Collection
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kshot.data.drawers import NOBODY
from kshot.data.episodes import EpisodeSet
from kshot.data.jpeg_images import REMEDY, JpegImages
from kshot.data.shards.packed_shards import SUFFIXES, TABLE, ShardedImages, open_shards
from kshot.errors import DataError
from kshot.lifecycle.project import layout

PIXELS, JPEGS = "images.npy", "images.jpegs"  # one of them, where an older kshot packed all images into one file
PackedImages = NDArray[np.uint8] | JpegImages | ShardedImages


def is_packed(names: Collection[str]) -> bool:
    """Whether a folder with files of these names holds packed images."""
    return not {TABLE, PIXELS, JPEGS}.isdisjoint(names)


def has_pixels(name: str) -> bool:
    """Whether the file of this name, in a folder of packed images, holds images."""
    return PurePath(name).suffix in SUFFIXES.values()


def read_images(root: Path) -> PackedImages:
    """The packed images (N, S, S, C): pixels, memory-mapped, or JPEGs, decoded where they are indexed.

    Images that an older kshot packed into one file are read, too. Raises DataError if a file is missing, cut short or
    no array of pixels, FileNotFoundError if no images are packed.
    """
    folder = root / layout.PACKED
    if (folder / TABLE).is_file():
        return open_shards(folder)
    if (folder / JPEGS).is_file():
        return JpegImages(folder / JPEGS)
    file = folder / PIXELS
    if not file.exists() and any(has_pixels(path.name) for path in folder.glob("*")):
        raise DataError(f"{folder / TABLE}, the table of the packed images, is missing; {REMEDY}")
    try:
        images: NDArray[np.uint8] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{file} is damaged ({error}); {REMEDY}") from error
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(f"{file} is {images.dtype} {images.shape}, and packed images are uint8 (N, S, S, C); {REMEDY}")
    return images


def read_manifest(root: Path) -> pd.DataFrame:
    """One row per packed image, in the order of the pixels."""
    return pd.read_parquet(root / layout.PACKED / "manifest.parquet")


def drawer_numbers(manifest: pd.DataFrame) -> NDArray[np.int64]:
    """The number of each manifest row's drawer; `kshot.data.drawers.NOBODY` if none is named."""
    if "drawer" not in manifest:
        return np.full(len(manifest), NOBODY, dtype=np.int64)
    numbers, _ = pd.factorize(manifest["drawer"].replace("", None))
    return numbers.astype(np.int64)  # pandas gives -1 to missing values


def read_classes(root: Path) -> pd.DataFrame:
    """One row per class and rotation; a row's position is its label."""
    return pd.read_parquet(root / layout.SPLIT / "classes.parquet")


def read_episodes(root: Path, split: str, protocol: str) -> EpisodeSet:
    """The fixed episodes of `protocol` over the classes of `split`."""
    with np.load(root / layout.EPISODES / f"{split}-{protocol}.npz", allow_pickle=False) as arrays:
        return EpisodeSet(arrays["support"], arrays["query"], arrays["classes"])


def image_ids(manifest: pd.DataFrame, classes: pd.DataFrame) -> list[NDArray[np.int64]]:
    """The ids of each row's images in the expanded space (rotation * N + index), for the rows of `classes`."""
    rows = manifest.groupby("class").indices
    return [
        np.asarray(rows[name], dtype=np.int64) + turns * len(manifest)
        for name, turns in zip(classes["class"], classes["rotation"], strict=True)
    ]


def of_splits(classes: pd.DataFrame, splits: Collection[str]) -> pd.DataFrame:
    """The rows of `classes` in `splits`; their index is still their label."""
    return classes[classes["split"].isin(list(splits))]


def label_names(classes: pd.DataFrame) -> list[str]:
    """A name for each row: "Greek/alpha", or "Greek/alpha @90" if rotated."""
    return _turned(classes, "class")


def group_names(classes: pd.DataFrame) -> list[str]:
    """The group of each row, with its rotation: "Greek", "Greek @90", or "" for none."""
    return _turned(classes, "group")


def _turned(classes: pd.DataFrame, column: str) -> list[str]:
    return [
        f"{name} @{90 * turns}" if name and turns else name
        for name, turns in zip(classes[column], classes["rotation"], strict=True)
    ]
