"""Packed images in shards against one file: random batches a second, and what an added class rewrites.

    python benchmarks/shards.py [--folder FOLDER]

Batches of 360 random images, memory-mapped, from files in the page cache; both in turns, in processor seconds, the
median of 9 ratios. The second table only plans shards, of a million images of 100,000 classes, and adds a class of ten
images at 20 places. 1.3 GB of disk and memory are enough.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from kshot.data.shards.packed_shards import ShardedImages
from kshot.data.shards.shard_plan import SIZES, ShardSizes, shards_of

BATCH, BATCHES, ROUNDS = 360, 40, 9
MB = 1_000_000


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the images are written; default: a temporary folder")
    folder = parser.parse_args().folder
    print("| images | pixels | shards | one file, images/s | shards | ratio |\n|--:|--:|--:|--:|--:|--:|")
    for count, side, channels, sizes in (
        (600_000, 28, 1, SIZES),
        (20_000, 84, 3, SIZES),
        (4_000, 224, 3, SIZES),
        (4_000, 224, 3, ShardSizes(2 * MB, 8 * MB)),  # as many shards as a data set of 18 GB has
    ):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            print(reading(Path(name), count, side, channels, sizes), flush=True)
    print("\n| pixels | images | shards | rewritten by a class more, mean | largest |\n|--:|--:|--:|--:|--:|")
    for side, channels in ((28, 1), (84, 3), (224, 3)):
        print(rewriting(side, channels), flush=True)


def reading(folder: Path, count: int, side: int, channels: int, sizes: ShardSizes) -> str:
    """A row of the first table."""
    rng, shape = np.random.default_rng(0), (side, side, channels)
    whole = open_memmap(folder / "one.npy", "w+", np.uint8, (count, *shape))
    for start in range(0, count, 1000):
        whole[start : start + 1000] = rng.integers(0, 256, whole[start : start + 1000].shape, dtype=np.uint8)
    paths = [f"{row // 10:06}/{row % 10}.png" for row in range(count)]
    plan = shards_of(paths, [path[:6] for path in paths], side * side * channels, sizes)
    for number, rows in enumerate(plan):
        np.save(folder / f"{number}.npy", whole[rows.start : rows.stop])
    whole = np.load(folder / "one.npy", mmap_mode="r")
    parts = [np.load(folder / f"{number}.npy", mmap_mode="r") for number in range(len(plan))]
    shards = ShardedImages(parts)
    batches = rng.integers(0, count, (BATCHES, BATCH))
    assert np.array_equal(whole[batches[0]], shards[batches[0]])
    whole.sum(dtype=np.int64), [part.sum(dtype=np.int64) for part in parts]  # into the page cache
    seconds = np.array([(rate(whole, batches), rate(shards, batches)) for _ in range(ROUNDS)])
    one, many = np.median(seconds, 0)
    ratio = np.median(seconds[:, 1] / seconds[:, 0])
    return f"| {count:,} | {side} x {side} x {channels} | {len(plan)} | {one:,.0f} | {many:,.0f} | {ratio:.2f} |"


def rate(images: np.ndarray | ShardedImages, batches: np.ndarray) -> float:
    """Images a processor second."""
    began = time.process_time()
    for batch in batches:
        _ = images[batch]
    return batches.size / (time.process_time() - began)


def rewriting(side: int, channels: int, classes: int = 100_000, of_class: int = 10) -> str:
    """A row of the second table: the share of the bytes that lie in shards which were not there before."""
    names = [f"{label:06}" for label in range(classes)]
    row_bytes, shares = side * side * channels, []
    before = {(one[0], one[-1], len(one)) for one in planned(names, of_class, row_bytes)}
    for place in range(classes // 40, classes, classes // 20):
        after = planned([*names[:place], f"{place:06}-new", *names[place:]], of_class, row_bytes)
        new = sum(len(one) for one in after if (one[0], one[-1], len(one)) not in before)
        shares.append(new / (of_class * (classes + 1)))
    mean, largest = float(np.mean(shares)), max(shares)
    return f"| {side} x {side} x {channels} | {classes * of_class:,} | {len(before)} | {mean:.2%} | {largest:.2%} |"


def planned(names: list[str], of_class: int, row_bytes: int) -> list[list[str]]:
    """The images of each shard."""
    labels = [name for name in names for _ in range(of_class)]
    paths = [f"images/{label}/{row % of_class}.png" for row, label in enumerate(labels)]
    return [paths[rows.start : rows.stop] for rows in shards_of(paths, labels, row_bytes)]


if __name__ == "__main__":
    main()
