"""Reads the features that stage embed computed with a frozen backbone, for training and evaluation.

The first view is the images as they are, which training uses; where `evaluate.views` needs more, further views are
those of `kshot.nets.shifted_views`, the second one the mirror image.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kshot.data.batches import Pixels
from kshot.data.shards.feature_shards import TABLE, ShardedFeatures, open_features
from kshot.data.shards.feature_views import FeatureViews
from kshot.lifecycle.data.packed import read_images
from kshot.lifecycle.project import layout
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import EmbeddingSettings, content_of
from kshot.params.sections.ingest import recorded_ingest

FEATURES = "features.npy"  # of the first view, where an older kshot wrote one file a view
RECORD = "embedded.json"
FROZEN = ("projection", "frozen")  # adaptations that freeze the backbone
SAME = ("backbone", "features", "input", "base")  # settings that determine the features, besides ingest


def are_features(names: Collection[str]) -> bool:
    """Whether a folder with files of these names holds features."""
    return TABLE in names or FEATURES in names


def read_features(
    root: Path, settings: EmbeddingSettings, views: int = 1
) -> NDArray[np.float32] | ShardedFeatures | FeatureViews | None:
    """The features for an embedding of these settings, memory-mapped: (turns * N, width), or those of `views` views.

    None if there are none, or only those of another backbone or of other views.
    """
    path = root / layout.EMBEDDED / RECORD
    if settings.adaptation not in FROZEN or not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    ours = content_of(settings)
    if any(_content(saved, key) != _content(ours, key) for key in SAME) or recorded_ingest(saved) != settings.ingest:
        return None
    if views not in (1, saved.get("views", 1)):
        return None
    found = [_of_view(path.parent, view) for view in range(views)]
    return FeatureViews(found) if views > 1 else found[0]


def _of_view(folder: Path, view: int) -> NDArray[np.float32] | ShardedFeatures:
    if (folder / TABLE).is_file():
        return open_features(folder, view)
    of_older_kshot: NDArray[np.float32] = np.load(
        folder / (f"features-{view + 1}.npy" if view else FEATURES), mmap_mode="r"
    )
    return of_older_kshot


def _content(settings: Mapping[str, Any], key: str) -> Any:
    """The value of one of SAME; of the weights their hash, because a file may have another name."""
    value = settings.get(key)
    return value["weights"] if key == "base" and value else value


def inputs_of(root: Path, embedding: Embedding) -> Pixels:
    """The input for this embedding: stored features if they match its settings and views, else the packed pixels."""
    features = read_features(root, embedding.settings, embedding.views)
    return read_images(root) if features is None else features
