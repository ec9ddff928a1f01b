"""Where packed images are cut into shards, so that an added class changes the shard it falls into and no later one."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

RANGE = 2**64  # of the hash of a path


class ShardSizes(NamedTuple):
    """Bytes that a shard has at least, unless it is the last one, and at most."""

    least: int = 64_000_000
    most: int = 256_000_000


SIZES = ShardSizes()


class _Unit(NamedTuple):
    """Rows that lie in one shard. `is_cut`: a shard may begin here."""

    rows: range
    is_cut: bool


def shards_of(paths: Sequence[str], classes: Sequence[str], row_bytes: int, sizes: ShardSizes = SIZES) -> list[range]:
    """The rows of each shard, in order; together they are all rows.

    paths, classes: the path and class of each row; the rows of a class are expected together, but need not be.
    row_bytes: about how many bytes a row takes.

    A cut depends on hashes of the paths near it, as in content-defined chunking (Muthitacharoen, Chen & Mazieres 2001,
    "A low-bandwidth network file system"). Rows that are inserted move no cut beyond the next one or two. A class of
    at most `sizes.least` bytes is never cut.
    """
    if len(paths) * row_bytes <= sizes.least:
        return [range(len(paths))] if paths else []
    starts, size = [0], 0
    for unit in _units(paths, classes, row_bytes, sizes):
        more = len(unit.rows) * row_bytes
        if size and (size + more > sizes.most or (unit.is_cut and size >= sizes.least)):
            starts.append(unit.rows.start)
            size = 0
        size += more
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(paths)], strict=True)]


def _units(paths: Sequence[str], classes: Sequence[str], row_bytes: int, sizes: ShardSizes) -> Iterator[_Unit]:
    """Whole classes, and the single rows of a class that is larger than a small shard."""
    # One cut in so many bytes: a quarter of the room, so that 2 % of the shards have to be cut where they are full.
    threshold = RANGE * row_bytes // ((sizes.most - sizes.least) // 4)
    start = 0
    for end in range(1, len(paths) + 1):
        if end < len(paths) and classes[end] == classes[start]:
            continue
        cuts = [_hash(path) < threshold for path in paths[start:end]]
        if (end - start) * row_bytes <= sizes.least:
            yield _Unit(range(start, end), any(cuts))
        else:
            yield from (_Unit(range(row, row + 1), cut) for row, cut in enumerate(cuts, start))
        start = end


def _hash(path: str) -> int:
    return int.from_bytes(hashlib.md5(path.encode(), usedforsecurity=False).digest()[:8], "big")
