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
    groups: Mapping[str, str], table: Mapping[str, str], *, by: str, val: float, test: float, seed: int
) -> dict[str, str]:
    """Assign each class to train, val or test: by the `table`, or by the rank of whole groups or single classes.

    groups and table as in `choose_by`, `by` its result. Groups (classes) are ranked by a hash of seed and name, and the
    first shares go to test and val, so that a class that is added later moves few others. If a table has no class for
    val or test, its share is drawn from the table's train classes. Raises DataError for a table that omits a class or
    names other splits, and if a split would be empty.
    """
    if by == "table":
        for name in groups:
            if table[name] not in SPLITS:
                found = f"has split {table[name]!r}" if table[name] else "has no split"
                raise DataError(f"class {name!r} {found} in the data's table; needs one of {', '.join(SPLITS)}")
        return _completed({name: table[name] for name in groups}, {"test": test, "val": val}, seed)
    unit = {name: group if by == "group" and group else name for name, group in groups.items()}
    ranked = rank(set(unit.values()), seed)
    n_test, n_val = max(1, round(test * len(ranked))), max(1, round(val * len(ranked)))
    if len(ranked) <= n_test + n_val:
        kind = "groups" if by == "group" else "classes"
        raise DataError(
            f"the data has {len(ranked)} {kind}; split.val {val} and split.test {test} leave none to train on: "
            "lower them, or add data"
        )
    place = {name: "test" if i < n_test else "val" if i < n_test + n_val else "train" for i, name in enumerate(ranked)}
    return {name: place[unit[name]] for name in groups}


def _completed(place: dict[str, str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Move train classes of the table to the splits of `shares` that have none."""
    train = rank([name for name, split in place.items() if split == "train"], seed)
    for split, share in shares.items():
        if split in place.values():
            continue
        count = max(1, round(share * len(place)))
        place |= dict.fromkeys(train[:count], split)
        train = train[count:]
    if not train:
        raise DataError(
            "the data's table leaves no class to train on; give more classes the split train, or some val and test"
        )
    return place


def rank(names: Collection[str], seed: int) -> list[str]:
    """Sort `names` by a hash of `seed` and each name."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
