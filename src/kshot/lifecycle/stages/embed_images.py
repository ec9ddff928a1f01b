"""Embeds every packed image once with a frozen backbone, in shards, and reuses the features of equal images."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from kshot.data.batches import resident
from kshot.data.feature_shards import SUFFIX, TABLE, Features, write_features_table
from kshot.data.row_digests import row_digests
from kshot.data.shard_plan import ShardSizes, shards_of
from kshot.data.shards import Shard
from kshot.lifecycle.data.packed import read_classes, read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import finished_features
from kshot.lifecycle.stages.features import RECORD, SAME
from kshot.lifecycle.stages.shard_store import ShardStore
from kshot.lifecycle.stages.stored_rows import StoredRows
from kshot.nets.devices import choose_device
from kshot.nets.embedding_settings import content_of
from kshot.nets.frozen_features import FrozenFeatures
from kshot.nets.new_embedding import new_embedding
from kshot.params.schema import AUTO, Params

# Images of a shard, and not bytes: a shard is what a killed embed computes again, and time goes into images.
IMAGES = ShardSizes(least=2048, most=8192)


@dataclass(frozen=True)
class Part:
    """The images of a shard. keys: what determines their features besides the model; name: of the shard's note."""

    ids: NDArray[np.int64]
    keys: list[str]
    name: str


def write_features(root: Path, params: Params, sizes: ShardSizes = IMAGES) -> None:
    """Write the features of every packed image, and of its rotations if classes are rotated."""
    make = opened(root, params)
    embedding = make.embedding
    store = ShardStore(root, finished_features.STAGE)
    model = finished_features.model_of(root, make)
    parts, former = list(planned(root, model, sizes)), store.begin(model)
    rows = finished_features.rows_of(store, sorted({*former} - {part.name for part in parts}))
    if former and not is_repeated(store, parts, make, rows):
        print("embed: this machine computes other features than the stored ones; it embeds all images", flush=True)
        store.delete_notes(but=())
        rows = StoredRows([])
    began, computed, written = time.perf_counter(), 0, []
    with tqdm(total=sum(len(part.ids) for part in parts), desc="embed", unit="image") as bar:
        for part in parts:
            shards, new = finished_features.finish(store, part.name, part.ids, part.keys, make, rows)
            written.append(shards)
            computed += new
            bar.update(len(part.ids))
    seconds = time.perf_counter() - began
    store.delete_notes(but={part.name for part in parts})
    _put(store, written)
    content = content_of(embedding.settings)
    saved = {key: content[key] for key in (*SAME, "ingest")} | ({"views": make.seen} if make.seen > 1 else {})
    (root / layout.EMBEDDED / RECORD).write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    for note in embedding.backbone.notes:  # type: ignore[union-attr]
        print(note, flush=True)
    size, of_views = embedding.input.size, f" in {make.seen} views" if make.seen > 1 else ""
    count, device = sum(len(part.ids) for part in parts), embedding.mean.device.type
    stored = f", {count - computed:,} of them stored before" if computed < count else ""
    print(
        f"{params.train.network.backbone} at {size} x {size} pixels: {count:,} images{of_views} to "
        f"{embedding.width:,} numbers each{stored}, {computed:,} in {seconds:.0f} s, "
        f"{computed / seconds:.0f} images/s on {device}",
        flush=True,
    )


def opened(root: Path, params: Params) -> FrozenFeatures:
    """The frozen backbone on its device, with the packed images."""
    embedding, device = new_embedding(params, root), choose_device(params.train.device)
    embedding = embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    pixels, bf16 = resident(read_images(root), device), params.embed.precision == "bf16"
    return FrozenFeatures(embedding, pixels, seen=views_of(params), batch_size=params.embed.batch_size, bf16=bf16)


def views_of(params: Params) -> int:
    """How many views of each image evaluation may need: `auto` measures one and two."""
    return 2 if params.evaluate.views == AUTO else params.evaluate.views


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


def is_repeated(store: ShardStore, parts: Sequence[Part], make: FrozenFeatures, rows: StoredRows[Features]) -> bool:
    """Whether this machine computes the stored features of a batch of images again, bit for bit.

    Processors and numbers of threads may round differently, and one set of features has to come from one arithmetic.
    """
    ids: list[int] = []
    stored: list[Features] = []
    for part in parts:
        own = finished_features.rows_of(store, [part.name])
        for id_, key in zip(part.ids, part.keys, strict=True):
            row = own.find(key)
            if (row := rows.find(key) if row is None else row) is not None:
                ids.append(int(id_))
                stored.append(row)
            if len(ids) == make.batch_size:
                break
        if len(ids) == make.batch_size:
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
