"""Finds rows of finished shards by the key of their image: a shard that differs in a few rows reuses all others."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class Source(NamedTuple, Generic[Row]):
    """A shard. keys: of its rows, in order; opened: opens it, and returns a reader of its rows, None if it is gone."""

    keys: Sequence[str]
    opened: Callable[[], Callable[[int], Row] | None]


class StoredRows(Generic[Row]):
    """The rows of several shards; a shard is opened when its first row is needed. Threads may share it."""

    def __init__(self, sources: Iterable[Source[Row]]) -> None:
        self._open: list[Callable[[], Callable[[int], Row] | None]] = []
        self._readers: dict[int, Callable[[int], Row] | None] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        for number, source in enumerate(sources):
            self._open.append(source.opened)
            self._places |= {key: (number, row) for row, key in enumerate(source.keys)}

    def find(self, key: str) -> Row | None:
        """The row of this key; None if no shard has it."""
        place = self._places.get(key)
        if place is None:
            return None
        number, row = place
        with self._lock:
            if number not in self._readers:
                self._readers[number] = self._open[number]()
        reader = self._readers[number]
        return reader(row) if reader else None
