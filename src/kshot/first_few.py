"""The start of a list in a message: the first few items, and how many more there are."""

from collections.abc import Sequence


def first_few(items: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first `most` items and the number of the others.

    >>> first_few(["apple", "kiwi", "lime", "pear", "plum"])
    'apple, kiwi, lime and 2 more'
    """
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return between.join(items[:most]) + more
