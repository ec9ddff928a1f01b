"""Decodes, prepares and embeds images with a model's own settings, for the measures of drift."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.images import Packed, Unreadable, pack
from kshot.drift.appearance import appearance
from kshot.lifecycle.drift.stored_features import embedded, stored_features
from kshot.lifecycle.project import progress
from kshot.lifecycle.serving.package import png
from kshot.methods.method import Method

SHOWN = 12  # images shown on the page


@dataclasses.dataclass(frozen=True)
class MeasuredImages:
    """Images as measured.

    appearance_stats  (N, 5), appearance of the prepared images
    points  (N, D) float32, or (N, 0) without a fixed embedding
    read    (N,), positions of the images among the requested files
    shown   some of them as PNG
    lost    files that could not be read
    """

    appearance_stats: NDArray[np.float64]
    points: Tensor
    read: NDArray[np.int64]
    shown: tuple[bytes, ...]
    lost: tuple[Unreadable, ...]


def measure_images(paths: list[Path], method: Method, scratch: Path, root: Path | None = None) -> MeasuredImages:
    """Decode, prepare and embed images with the model's own settings. `root`: a project whose stored features count."""
    ingest = method.embedding.settings.ingest
    packed = scratch / "images.npy"
    records = list(progress.counted(pack(paths, packed, ingest), len(paths), "reading images"))
    good = [(row, record) for row, record in enumerate(records) if isinstance(record, Packed)]
    pixels = np.load(packed, mmap_mode="r")
    sides = np.array([(record.width * record.height) ** 0.5 for _, record in good])
    appearance_stats = np.stack(appearance(pixels, sides, ingest.invert), 1)
    points = torch.empty(len(pixels), 0)
    if method.has_fixed_embedding:
        stored = stored_features(root, method) if root is not None else None
        points = embedded(method, pixels, [record.content for _, record in good], stored)
    some = np.linspace(0, len(pixels) - 1, min(SHOWN, len(pixels))).round().astype(int)
    shown = tuple(png(255 - pixels[row] if ingest.invert else pixels[row]) for row in some)
    lost = tuple(record for record in records if isinstance(record, Unreadable))
    return MeasuredImages(appearance_stats, points, np.array([row for row, _ in good], dtype=np.int64), shown, lost)
