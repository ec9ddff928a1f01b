"""Shards of features that stage embed finished: an embed that was killed, or one of new data, finds their rows again.

The note of a shard has the shard of each view and the keys of its images: what they look like, and their rotation. Its
name follows from the model and these keys. A shard with other images gives the rows of those that are the same.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.data.shards.feature_shards import Features, write_features_shard
from kshot.data.shards.packed_shards import Shard
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.stages.shards.frozen_network import views_of
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.lifecycle.stages.shards.stored_rows import Source, StoredRows
from kshot.lifecycle.tracking import plugin_code
from kshot.lifecycle.tracking.code_closure import closure, folders
from kshot.nets import frozen_features
from kshot.nets.embedding import Embedding
from kshot.nets.new_embedding import weights_hash
from kshot.params.schema import Params

STAGE = "embed"
LIBRARIES = ("torch", "timm", "numpy", "pillow")  # that compute features from packed images


def model_of(root: Path, params: Params, embedding: Embedding, device: str) -> str:
    """A hash of all that determines the features of an image: weights, settings, code, libraries, kind of device."""
    made_by = (
        weights_hash(embedding.backbone),
        embedding.settings.backbone,
        embedding.settings.features,
        embedding.input,
        (views_of(params), params.embed.batch_size, params.embed.precision, device),
        closure(frozen_features.__name__, folders(root)) | plugin_code.fingerprints(root, STAGE),
        [metadata.version(name) for name in LIBRARIES],
    )
    return hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]


def made_from(model: str, keys: Sequence[str]) -> str:
    """The name of the note of a shard of these images."""
    return f"{model}-{hashlib.sha256(''.join(keys).encode()).hexdigest()[:32]}"


def finish(
    store: ShardStore,
    name: str,
    ids: NDArray[np.int64],
    keys: Sequence[str],
    make: Callable[[NDArray[np.int64]], Features],
    rows: StoredRows[Features],
) -> tuple[list[Shard], int]:
    """The shard of each view of these images, a finished one or one that is written now with a note, and how many
    images were computed."""
    found = find(store, name)
    if found is not None:
        return found, 0
    known = [rows.find(key) for key in keys]
    todo = np.array([place for place, row in enumerate(known) if row is None], dtype=np.int64)
    made = make(ids[todo])
    features = np.empty((len(made), len(ids), made.shape[2]), np.float32)
    features[:, todo] = made
    for place, row in enumerate(known):
        if row is not None:
            features[:, place] = row
    part = f"{name}-{secrets.token_hex(4)}"  # a node that counts as lost may still write its own
    shards = [write_features_shard(view, store.folder, part) for view in features]
    write_text(store.note(name), json.dumps([[asdict(shard) for shard in shards], list(keys)]))
    return shards, len(todo)


def find(store: ShardStore, name: str) -> list[Shard] | None:
    """The finished shard of each view; None if one of them is missing."""
    shards, _ = _read(store.note(name))
    return shards if shards and all(store.find(shard) for shard in shards) else None


def rows_of(store: ShardStore, names: Sequence[str]) -> StoredRows[Features]:
    """The features (V, width) of the images of the shards with these notes, by key."""
    return StoredRows(_sources(store, names))


def _sources(store: ShardStore, names: Sequence[str]) -> Iterator[Source[Features]]:
    for name in names:
        shards, keys = _read(store.note(name))
        if shards and all(shard.rows == len(keys) for shard in shards):
            yield Source(keys, partial(_opened, store, shards))


def _opened(store: ShardStore, shards: Sequence[Shard]) -> Callable[[int], Features] | None:
    paths = [store.find(shard) for shard in shards]
    views = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths if path is not None]
    return (lambda row: np.stack([view[row] for view in views])) if len(views) == len(shards) else None


def _read(note: Path) -> tuple[list[Shard], list[str]]:
    try:
        shards, keys = json.loads(note.read_text(encoding="utf-8"))
        return [Shard(**shard) for shard in shards], [str(key) for key in keys]
    except (OSError, ValueError, TypeError):
        return [], []  # damaged: the images are embedded again
