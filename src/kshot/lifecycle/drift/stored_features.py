"""Embeds images for drift: stored features are used where an image has them, and computed otherwise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.batches import Pixels
from kshot.lifecycle.data.packed import read_manifest
from kshot.lifecycle.project import layout, progress
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.stages.features import read_features
from kshot.load_yaml import load_yaml
from kshot.methods.method import Method
from kshot.nets.embedding import embed

LOCK, MANIFEST = "dvc.lock", layout.PACKED / "manifest.parquet"
AT_ONCE = 64  # images between two rows of progress


class StoredFeatures(NamedTuple):
    """Features of the project's packed images, and the row of each by the md5 of its pixels."""

    features: Pixels
    rows: Mapping[str, int]


def stored_features(root: Path, method: Method) -> StoredFeatures | None:
    """The stored features, if they are of the same weights and preparation as `method`, and of the images there now."""
    embedding = method.embedding
    features = read_features(root, embedding.settings, embedding.views)
    if features is None or not _are_of_packed_images(root):
        return None
    contents = read_manifest(root)["content"]
    return StoredFeatures(features, {content: row for row, content in enumerate(contents)})


def embedded(
    method: Method, pixels: NDArray[np.uint8], contents: Sequence[str], stored: StoredFeatures | None
) -> Tensor:
    """The embeddings (N, D) of prepared images (N, S, S, C), whose pixels have the md5s `contents`."""
    known = np.array([-1 if stored is None else stored.rows.get(content, -1) for content in contents], dtype=np.int64)
    points = torch.empty(len(pixels), method.dim)
    if stored is not None and (known >= 0).any():
        points[torch.from_numpy(known >= 0)] = embed(method, stored.features, known[known >= 0])
    rest = np.flatnonzero(known < 0)
    parts = np.split(rest, range(AT_ONCE, len(rest), AT_ONCE))
    for part in progress.counted(parts, len(parts), f"embedding {len(rest):,} images, part"):
        points[torch.from_numpy(part)] = embed(method, pixels, part)
    return points


def _are_of_packed_images(root: Path) -> bool:
    """Whether, by dvc.lock, stage embed read the packed images that stage ingest wrote last and whose table is here."""
    try:
        stages = load_yaml((root / LOCK).read_text(encoding="utf-8"))["stages"]
        written = _md5(stages["ingest"]["outs"], layout.PACKED)
        read, table = _md5(stages["embed"]["deps"], layout.PACKED), _md5(stages["split"]["deps"], MANIFEST)
        return read == written and table == file_md5(root / MANIFEST)
    except (OSError, KeyError, TypeError, StopIteration, yaml.YAMLError):
        return False


def _md5(entries: Sequence[Mapping[str, str]], path: Path) -> str:
    return next(entry["md5"] for entry in entries if entry["path"] == path.as_posix())
