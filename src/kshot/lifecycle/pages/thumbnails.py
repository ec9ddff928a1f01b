"""Packed images as thumbnails inside a page."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.lifecycle.data.packed import PackedImages, label_names, read_classes, read_images, read_manifest
from kshot.lifecycle.pages.render import jpeg_address, png_address
from kshot.lifecycle.project import layout

LARGEST = 96  # pixels; larger images are shrunk for the page
LOSSLESS = 48  # pixels; up to this side a PNG of a drawing is smaller than a JPEG, and exact
QUALITY = 75


@dataclass(frozen=True)
class Thumbnails:
    """The packed images, and how to find them by name.

    images    (N, S, S, C)
    labels    a label's name, "Greek/alpha @90", to class and quarter turns
    rows      class to the positions of its images
    inverted  whether ingest turned dark ink into light
    files     path of each image's file below data/raw, in the order of `images`; empty if unknown
    """

    images: PackedImages
    labels: Mapping[str, tuple[str, int]]
    rows: Mapping[str, NDArray[np.int64]]
    inverted: bool
    files: Sequence[str] = ()


def read_thumbnails(root: Path) -> Thumbnails | None:
    """The thumbnails of the project at `root`; None if it has no packed images."""
    try:
        images, manifest, classes = read_images(root), read_manifest(root), read_classes(root)
    except FileNotFoundError:
        return None
    turns = zip(classes["class"], classes["rotation"].astype(int), strict=True)
    settings = root / layout.MODEL / "embedding.json"
    ingest = json.loads(settings.read_text(encoding="utf-8")).get("ingest", {}) if settings.exists() else {}
    return Thumbnails(
        images=images,
        labels=dict(zip(label_names(classes), turns, strict=True)),
        rows={str(name): np.asarray(rows) for name, rows in manifest.groupby("class").indices.items()},
        inverted=bool(ingest.get("invert", False)),
        files=[str(path) for path in manifest["path"]] if "path" in manifest else (),
    )


def of_label(thumbnails: Thumbnails | None, label: str, count: int, side: int = LARGEST) -> list[str]:
    """Up to `count` images of a label as data addresses, evenly spaced over all of its images."""
    if thumbnails is None:
        return []
    name, turns = thumbnails.labels.get(label, (label, 0))
    rows = thumbnails.rows.get(name, np.empty(0, dtype=np.int64))
    chosen = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
    return [data_address(thumbnails, int(row) + turns * len(thumbnails.images), side) for row in chosen]


def count_of(thumbnails: Thumbnails | None, label: str) -> int | None:
    """How many images a label has; None if unknown."""
    if thumbnails is None:
        return None
    name, _ = thumbnails.labels.get(label, (label, 0))
    return len(thumbnails.rows[name]) if name in thumbnails.rows else None


def file_of(thumbnails: Thumbnails | None, image: int) -> str:
    """The file name of the image with this id, '' if unknown."""
    if thumbnails is None or not thumbnails.files:
        return ""
    return PurePosixPath(thumbnails.files[image % len(thumbnails.files)]).name


def data_address(thumbnails: Thumbnails, image: int, side: int = LARGEST) -> str:
    """The image with this id (rotation * N + position) in a data address, at most `side` pixels wide and high."""
    turns, row = divmod(image, len(thumbnails.images))
    pixels: NDArray[Any] = np.rot90(thumbnails.images[row], k=turns)
    return address_of(255 - pixels if thumbnails.inverted else pixels, side)


def address_of(pixels: NDArray[Any], side: int = LARGEST) -> str:
    """An image (height, width, 1 or 3) uint8 in a data address: PNG for small drawings, JPEG for everything else."""
    thumbnail = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    thumbnail.thumbnail((side, side))
    file = io.BytesIO()
    if thumbnail.mode == "L" and max(thumbnail.size) <= LOSSLESS:
        thumbnail.save(file, format="PNG")
        return png_address(file.getvalue())
    thumbnail.save(file, format="JPEG", quality=QUALITY)
    return jpeg_address(file.getvalue())
