"""The figures of a class that the rules for splits, episodes and batches use."""

from typing import NamedTuple


class ClassSupply(NamedTuple):
    """One class of the data: its number of different images, its group ('' for none), and its split in the data."""

    name: str
    images: int
    group: str = ""
    split: str = ""


def share_of(count: int, total: int) -> float:
    """The shortest decimal share of `total` that rounds to `count`."""
    rounded = (round(count / total, digits) for digits in range(2, 12))
    return next(share for share in rounded if round(share * total) == count)
