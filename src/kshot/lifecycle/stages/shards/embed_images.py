"""Embeds every packed image once with a frozen backbone, in shards, and reuses the features of equal images."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kshot.data.shards.feature_shards import SUFFIX, TABLE, Features, write_features_table
from kshot.data.shards.packed_shards import Shard
from kshot.data.shards.row_digests import row_digests
from kshot.data.shards.shard_plan import ShardSizes, shards_of
from kshot.lifecycle.data.packed import read_classes, read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.features import RECORD, SAME
from kshot.lifecycle.stages.shards import embed_on_ray, finished_features, ray_engine
from kshot.lifecycle.stages.shards.frozen_network import opened, views_of
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.nets.embedding_settings import content_of
from kshot.nets.new_embedding import new_embedding
from kshot.params.engine import engine_here
from kshot.params.schema import Params

# Images of a shard, and not bytes: a shard is what a killed embed computes again, and time goes into images.
IMAGES = ShardSizes(least=2048, most=8192)


@dataclass(frozen=True)
class Part:
    """The images of a shard. keys: their hashes, which with the model determine the features; name: of its note."""

    ids: NDArray[np.int64]
    keys: list[str]
    name: str


class Work(NamedTuple):
    """How the features are computed, here or on a Ray cluster.

    device  the kind of device that computes
    make    computes the features (V, M, width) of the images with these ids
    finish  yields the shards of each part and how many of its images it computed; it may use rows of shards with these
            notes
    """

    device: str
    make: Callable[[NDArray[np.int64]], Features]
    finish: Callable[[Sequence[Part], tuple[str, ...]], Iterator[tuple[list[Shard], int]]]


def write_features(root: Path, params: Params, sizes: ShardSizes = IMAGES) -> None:
    """Write the features of every packed image, and of its rotations if classes are rotated."""
    store = ShardStore(root, finished_features.STAGE)
    embedding = new_embedding(params, root)
    with _on_ray(store, params) if engine_here(params.engine) == "ray" else _here(store, params) as work:
        model = finished_features.model_of(root, params, embedding, work.device)
        parts, notes = list(planned(root, model, sizes)), store.begin(model)
        former = tuple(sorted({*notes} - {part.name for part in parts}))
        if notes and not is_repeated(store, parts, former, work.make, params.embed.batch_size):
            print("embed: this machine computes other features than the stored ones; it embeds all images", flush=True)
            store.delete_notes(but=())
            former = ()
        began, computed, written = time.perf_counter(), 0, []
        with tqdm(total=sum(len(part.ids) for part in parts), desc="embed", unit="image") as bar:
            for part, (shards, new) in zip(parts, work.finish(parts, former), strict=True):
                written.append(shards)
                computed += new
                bar.update(len(part.ids))
    seconds = time.perf_counter() - began
    store.delete_notes(but={part.name for part in parts})
    _put(store, written)
    content, seen = content_of(embedding.settings), views_of(params)
    saved = {key: content[key] for key in (*SAME, "ingest")} | ({"views": seen} if seen > 1 else {})
    (root / layout.EMBEDDED / RECORD).write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    for note in embedding.backbone.notes:  # type: ignore[union-attr]
        print(note, flush=True)
    size, of_views = embedding.input.size, f" in {seen} views" if seen > 1 else ""
    count = sum(len(part.ids) for part in parts)
    stored = f", {count - computed:,} of them stored before" if computed < count else ""
    print(
        f"{params.train.network.backbone} at {size} x {size} pixels: {count:,} images{of_views} to "
        f"{embedding.width:,} numbers each{stored}, {computed:,} in {seconds:.0f} s, "
        f"{computed / seconds:.0f} images/s on {work.device}",
        flush=True,
    )


@contextmanager
def _here(store: ShardStore, params: Params) -> Iterator[Work]:
    make = opened(store.root, params)

    def finish(parts: Sequence[Part], former: tuple[str, ...]) -> Iterator[tuple[list[Shard], int]]:
        rows = finished_features.rows_of(store, former)
        for part in parts:
            yield finished_features.finish(store, part.name, part.ids, part.keys, make, rows)

    yield Work(make.embedding.mean.device.type, make, finish)


@contextmanager
def _on_ray(store: ShardStore, params: Params) -> Iterator[Work]:
    root = store.root.resolve()
    with ray_engine.tasks(root, device=params.train.device) as (run, device):

        def make(ids: NDArray[np.int64]) -> Features:
            (made,) = run(embed_on_ray.make_on_node, [(root, ids)])
            return cast("Features", made)

        def finish(parts: Sequence[Part], former: tuple[str, ...]) -> Iterator[tuple[list[Shard], int]]:
            return run(embed_on_ray.finish_on_node, ((root, part.name, part.ids, part.keys, former) for part in parts))

        yield Work(device, make, finish)


def planned(root: Path, model: str, sizes: ShardSizes) -> Iterator[Part]:
    """The shards of all images and their rotations, in the order of their ids."""
    manifest, digests = read_manifest(root), row_digests(read_images(root))
    turns = int(read_classes(root)["rotation"].max()) + 1
    paths, classes = manifest["path"].tolist(), manifest["class"].tolist()
    for turn in range(turns):
        for rows in shards_of(paths, classes, 1, sizes):
            keys = [f"{digests[row].hex()}{turn}" for row in rows]
            ids = np.arange(rows.start, rows.stop, dtype=np.int64) + turn * len(paths)
            yield Part(ids, keys, finished_features.made_from(model, keys))


def is_repeated(
    store: ShardStore,
    parts: Sequence[Part],
    former: Sequence[str],
    make: Callable[[NDArray[np.int64]], Features],
    count: int,
) -> bool:
    """Whether `make` computes the stored features of so many images again, bit for bit.

    Processors and numbers of threads may round differently, and one set of features has to come from one arithmetic.
    """
    rows = finished_features.rows_of(store, former)
    ids: list[int] = []
    stored: list[Features] = []
    for part in parts:
        own = finished_features.rows_of(store, [part.name])
        for id_, key in zip(part.ids, part.keys, strict=True):
            row = own.find(key)
            if (row := rows.find(key) if row is None else row) is not None:
                ids.append(int(id_))
                stored.append(row)
            if len(ids) == count:
                break
        if len(ids) == count:
            break
    return not ids or np.array_equal(make(np.array(ids)), np.stack(stored, 1))


def _put(store: ShardStore, written: Sequence[Sequence[Shard]]) -> None:
    """Put the shards and their table into the stage's output, in place of others."""
    folder = store.root / layout.EMBEDDED
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.suffix == SUFFIX or path.name == TABLE:
            path.unlink()
    named = {shard.file: shard for shards in written for shard in shards}
    store.delete_shards(but=named)
    for shard in named.values():
        store.put(shard, folder)
    write_features_table(folder, list(zip(*written, strict=True)))
