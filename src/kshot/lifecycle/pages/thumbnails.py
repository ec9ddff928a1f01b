"""Packed images as thumbnails inside a page."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.lifecycle.data.packed import label_names, read_classes, read_images, read_manifest
from kshot.lifecycle.pages.render import png_address
from kshot.lifecycle.project import layout

LARGEST = 96  # pixels; larger images are shrunk for the page


@dataclass(frozen=True)
class Thumbnails:
    """The packed images, and how to find them by name.

    images    (N, S, S, C)
    labels    a label's name, "Greek/alpha @90", to class and quarter turns
    rows      class to the positions of its images
    inverted  whether ingest turned dark ink into light
    """

    images: NDArray[np.uint8]
    labels: Mapping[str, tuple[str, int]]
    rows: Mapping[str, NDArray[np.int64]]
    inverted: bool


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
    )


def of_label(thumbnails: Thumbnails | None, label: str, count: int) -> list[str]:
    """Up to `count` images of a label as data addresses, evenly spaced over all of its images."""
    if thumbnails is None:
        return []
    name, turns = thumbnails.labels.get(label, (label, 0))
    rows = thumbnails.rows.get(name, np.empty(0, dtype=np.int64))
    chosen = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
    return [data_address(thumbnails, int(row) + turns * len(thumbnails.images)) for row in chosen]


def data_address(thumbnails: Thumbnails, image: int) -> str:
    """The image with this id (rotation * N + position) as a PNG in a data address."""
    turns, row = divmod(image, len(thumbnails.images))
    pixels: NDArray[Any] = np.rot90(thumbnails.images[row], k=turns)
    if thumbnails.inverted:
        pixels = 255 - pixels
    thumbnail = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    thumbnail.thumbnail((LARGEST, LARGEST))
    file = io.BytesIO()
    thumbnail.save(file, format="PNG")
    return png_address(file.getvalue())
