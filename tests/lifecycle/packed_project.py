"""A tiny project whose stages ingest, split and episodes have run, written by hand, to test later stages alone."""

from pathlib import Path

import numpy as np
import pandas as pd

from kshot.data.shards.pack_shards import write_table
from kshot.data.shards.packed_shards import Shard, md5_of
from kshot.evaluation.inference import Inference
from kshot.lifecycle.project import layout
from kshot.params.sections.ingest import Ingest

PROTOTYPE = Inference("metric", "prototype", "eval")
SIZE, IMAGES = 16, 8
GROUPS = {"Ελληνικά": "train", "two words": "val", "c": "test"}
CLASSES = [f"{group}/{letter}" for group in GROUPS for letter in "abcdef"]


def write(root: Path, rotations: bool = False, n_episodes: int = 20) -> None:
    """Six classes a group, eight images a class, one group a split, `n_episodes` of 3 ways."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2, (len(CLASSES), 4, 4)).repeat(4, 1).repeat(4, 2) * 150
    pixels = patterns[:, None] + rng.integers(0, 100, (len(CLASSES), IMAGES, SIZE, SIZE))
    for folder in (layout.PACKED, layout.SPLIT, layout.EPISODES):
        (root / folder).mkdir(parents=True)
    np.save(root / layout.PACKED / "images.npy", pixels.reshape(-1, SIZE, SIZE, 1).astype(np.uint8))
    names = [name for name in CLASSES for _ in range(IMAGES)]
    pd.DataFrame(
        {
            "path": [f"images/{name}/{i % IMAGES}.png" for i, name in enumerate(names)],
            "class": names,
            "group": [name.split("/")[0] for name in names],
            "split": "",
            "content": [f"{i:032x}" for i in range(len(names))],
            "width": SIZE,
            "height": SIZE,
        }
    ).to_parquet(root / layout.PACKED / "manifest.parquet", index=False)
    turns = range(4) if rotations else (0,)
    table = [
        {"class": name, "group": name.split("/")[0], "rotation": turn, "split": GROUPS[name.split("/")[0]]}
        for name in CLASSES
        for turn in turns
    ]
    classes = pd.DataFrame(table)
    classes.to_parquet(root / layout.SPLIT / "classes.parquet", index=False)
    for split in ("val", "test"):
        labels = np.flatnonzero(classes["split"] == split)
        for protocol, k_shot in (("3w1s", 1), ("3w2s", 2)):
            chosen = np.stack([rng.choice(labels, 3, replace=False) for _ in range(n_episodes)]).astype(np.int32)
            order = np.argsort(rng.random((n_episodes, 3, IMAGES)), -1)[:, :, : k_shot + 2]
            first = chosen // len(turns) * IMAGES + chosen % len(turns) * len(names)
            ids = (first[:, :, None] + order).astype(np.int32)
            path = root / layout.EPISODES / f"{split}-{protocol}.npz"
            np.savez(path, support=ids[:, :, :k_shot], query=ids[:, :, k_shot:], classes=chosen)


def split_into_shards(root: Path, rows: int) -> None:
    """The same images in shards of so many rows, as stage ingest writes those of a large data set."""
    file = root / layout.PACKED / "images.npy"
    images, shards = np.load(file), []
    for first in range(0, len(images), rows):
        part = file.with_name("part.npy")
        np.save(part, images[first : first + rows])
        named = part.rename(file.with_name(f"{md5_of(part)}.npy"))
        shards.append(Shard(named.name, len(images[first : first + rows]), named.stat().st_size))
    write_table(file.parent, shards, Ingest(SIZE, 1, invert=True, crop="none"))
    file.unlink()


def params(text: str) -> str:
    """The default params.yaml made small enough for this project."""
    changes = {
        "size: 28": f"size: {SIZE}",
        "    classes: 60": "    classes: 4",
        "    images: 6": "    images: 4",
        "steps: 600": "steps: 20",
        "    every: 100": "    every: 10",
        "    protocol: 20w1s": "    protocol: 3w1s",
        "{n_way: 5, k_shot: 1,": "{n_way: 3, k_shot: 1,",
        "    5w1s:": "    3w1s:",
        "    5w5s:": "    3w2s:",
        "{5w1s: 0.80, 20w1s: 0.60}": "{3w1s: 0.50}",
        "group_protocol: 5w1s": "group_protocol: 3w1s",
    }
    for old, new in changes.items():
        assert old in text, f"params.yaml has no {old!r} to make small"
        text = text.replace(old, new)
    return text
