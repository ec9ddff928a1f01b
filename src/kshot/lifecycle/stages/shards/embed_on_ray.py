"""The tasks of stage embed on a node of a Ray cluster: one shard, finished in the folder that all nodes see."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.data.shards.feature_shards import Features
from kshot.data.shards.packed_shards import Shard
from kshot.lifecycle.project.no_telemetry import silence_telemetry
from kshot.lifecycle.stages.shards import finished_features
from kshot.lifecycle.stages.shards.frozen_network import opened
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.lifecycle.stages.shards.stored_rows import StoredRows
from kshot.nets.frozen_features import FrozenFeatures
from kshot.params.schema import load_params
from kshot.redaction import guard


def finish_on_node(
    root: Path, name: str, ids: NDArray[np.int64], keys: Sequence[str], former: tuple[str, ...]
) -> tuple[list[Shard], int]:
    """As `finished_features.finish`. former: the notes of shards whose rows may be used."""
    store, rows = _stored(root, former)
    return finished_features.finish(store, name, ids, keys, lambda ids: make_on_node(root, ids), rows)


def make_on_node(root: Path, ids: NDArray[np.int64]) -> Features:
    """The features (V, M, width) of the images with these ids."""
    return _network(root)(ids)


# A process of a node runs many tasks of one stage.
@functools.lru_cache(maxsize=1)
def _stored(root: Path, former: tuple[str, ...]) -> tuple[ShardStore, StoredRows[Features]]:
    store = ShardStore(root, finished_features.STAGE)
    return store, finished_features.rows_of(store, former)


@functools.lru_cache(maxsize=1)
def _network(root: Path) -> FrozenFeatures:
    guard()
    silence_telemetry()
    return opened(root, load_params(root / "params.yaml"))
