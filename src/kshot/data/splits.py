"""Class-disjoint splits, seeded, and stable while a data set grows."""

import hashlib
from collections.abc import Collection, Mapping

from kshot.errors import DataError

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}


def split_named(name: str) -> str:
    """The split that a name such as Validation stands for; '' if it is not a split."""
    return SPLIT_NAMES.get(name.strip().casefold(), "")


def choose_by(by: str, groups: Mapping[str, str], table: Mapping[str, str]) -> str:
    """Resolve `auto`: the data's own table, else groups if each split can have one, else classes.

    groups: class to group, '' for none; table: class to split, '' for none. Any other `by` is returned unchanged.
    Raises DataError if the data lacks the groups or the table that `by` needs.
    """
    named = {group for group in groups.values() if group}
    if by == "auto":
        if any(table.values()):
            return "table"
        return "group" if len(named) >= len(SPLITS) and all(groups.values()) else "class"
    if by == "table" and not any(table.values()):
        raise DataError(
            "split.by is table, but the data brings no split: add it with `kshot data add SOURCE --split FILE`, "
            "or set split.by to group or class"
        )
    if by == "group" and len(named) < len(SPLITS):
        raise DataError(
            f"split.by is group, but the data has {len(named)} groups; needs at least 3: set split.by: class"
        )
    return by


def split_classes(
    groups: Mapping[str, str],
    table: Mapping[str, str],
    *,
    by: str,
    val: float,
    test: float,
    seed: int,
    assign: str = "rank",
) -> dict[str, str]:
    """Assign each class to train, val or test: by the `table`, or by a hash of seed and name of its group or itself.

    groups and table as in `choose_by`, `by` its result. With `assign` "rank" the first shares of the names, ranked by
    their hashes, go to test and val: the shares are exact, and a new class moves few others. With "hash" a name goes to
    test if its hash in [0, 1) is below `test`, to val if it is below `test` + `val`: a new class moves no other.
    If a table has no class for val or test, its share is drawn from the table's train classes. Raises DataError for a
    table that omits a class or names other splits, and if a split would be empty.
    """
    shares = {"test": test, "val": val}
    if by == "table":
        for name in groups:
            if table[name] not in SPLITS:
                found = f"has split {table[name]!r}" if table[name] else "has no split"
                raise DataError(f"class {name!r} {found} in the data's table; needs one of {', '.join(SPLITS)}")
        place = {name: table[name] for name in groups}
        absent = {split: share for split, share in shares.items() if split not in place.values()}
        place |= _drawn([name for name, split in place.items() if split == "train"], absent, len(place), seed, assign)
        if "train" not in place.values():
            raise DataError(
                "the data's table leaves no class to train on; give more classes the split train, or some val and test"
            )
        return place
    unit = {name: group if by == "group" and group else name for name, group in groups.items()}
    names = set(unit.values())
    drawn = _drawn(names, shares, len(names), seed, assign)
    if len(drawn) == len(names):
        kind = "groups" if by == "group" else "classes"
        raise DataError(
            f"the data has {len(names)} {kind}; split.val {val} and split.test {test} leave none to train on: "
            "lower them, or add data"
        )
    return {name: drawn.get(unit[name], "train") for name in groups}


def _drawn(names: Collection[str], shares: Mapping[str, float], total: int, seed: int, assign: str) -> dict[str, str]:
    """The split of each of `names` that goes to one of `shares`; their counts are shares of `total` by rank."""
    place: dict[str, str] = {}
    ranked, border = rank(names, seed), 0.0
    for split, share in shares.items():
        border = round(border + share, 12)
        below = [name for name in ranked if hashed(name, seed) < border]
        count = len(below) if assign == "hash" else max(1, round(share * total))
        if not count:
            raise DataError(f"split.{split} {share} gives {split} none of the {len(names)} names by their hashes")
        place |= dict.fromkeys(ranked[:count], split)
        ranked = ranked[count:]
    return place


def hash_shares(
    names: Collection[str], counts: Mapping[str, int], wanted: Mapping[str, float], seed: int
) -> dict[str, float]:
    """Shares with which the hashes give each split of `counts`, in their order, so many of `names`.

    They are as near to the shares `wanted` as these counts allow, with as few decimals as possible.
    """
    places, shares = [*sorted(hashed(name, seed) for name in names), 1.0], {}
    taken, below, ideal = 0, 0.0, 0.0
    for split, count in counts.items():
        taken, ideal = taken + count, ideal + wanted[split]
        low, high = places[taken - 1], places[taken]
        near = (round(min(max(ideal, low), high), digits) for digits in range(2, 13))
        border = next((one for one in near if low < one <= high), high)
        shares[split] = round(border - below, 12)
        below = border
    return shares


def rank(names: Collection[str], seed: int) -> list[str]:
    """Sort `names` by a hash of `seed` and each name."""
    return sorted(names, key=lambda name: _digest(name, seed))


def hashed(name: str, seed: int) -> float:
    """A number in [0, 1) that follows from the name and the seed, in the order of `rank`."""
    return int.from_bytes(_digest(name, seed)[:6]) / 2**48


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
