"""The task of stage ingest on a node of a Ray cluster: one shard, finished in the folder that all nodes see."""

import functools
from collections.abc import Sequence
from pathlib import Path

from kshot.data.images import Stored
from kshot.data.shards.pack_shards import Origin
from kshot.data.shards.packed_shards import Shard
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.shards import finished_shards
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.lifecycle.stages.shards.stored_rows import StoredRows
from kshot.params.sections.ingest import Ingest


def finish_on_node(
    root: Path, name: str, paths: Sequence[str], ingest: Ingest, former: tuple[str, ...]
) -> tuple[Shard | None, list[Origin]]:
    """As `finished_shards.finish`. former: the notes of shards whose rows may be used."""
    store, rows = _stored(root, former)
    return finished_shards.finish(store, name, [root / layout.RAW / path for path in paths], ingest, rows)


@functools.lru_cache(maxsize=1)  # a process of a node runs many tasks of one stage
def _stored(root: Path, former: tuple[str, ...]) -> tuple[ShardStore, StoredRows[Stored]]:
    store = ShardStore(root, finished_shards.STAGE)
    return store, finished_shards.rows_of(store, former)
