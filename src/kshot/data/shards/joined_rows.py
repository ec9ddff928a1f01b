"""Reads rows of several mapped arrays by one index, as fast as rows of one array."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

LARGEST = np.iinfo(np.intp).max


class JoinedRows:
    """The rows of `parts`, arrays of equal row shape and dtype, numbered one part after another.

    numpy copies rows from one array alone, and rows sorted by array would be copied twice. So each row is named by its
    distance in memory from the lowest part, in an array whose elements are of a row's size and begin at every byte.
    Between the parts lies memory that is not theirs: no element there is ever asked for.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self.parts = [np.ascontiguousarray(part) for part in parts]  # they stay mapped while this lives
        self.row_shape = self.parts[0].shape[1:]
        self.ends = np.cumsum([len(part) for part in self.parts])
        self.dtype = self.parts[0].dtype
        size = int(np.prod(self.row_shape)) * self.dtype.itemsize
        addresses = np.array([part.ctypes.data for part in self.parts])
        lowest, highest = int(addresses.argmin()), int(addresses.argmax())
        span = int(addresses[highest] - addresses[lowest]) + (len(self.parts[highest]) - 1) * size + 1
        # Where row 0 would be, were the rows of all parts before in front of it.
        firsts = self.ends - [len(part) for part in self.parts]
        self.origins = addresses - addresses[lowest] - firsts * size
        self.size = size
        self.memory: NDArray[Any] | None = None
        if span <= LARGEST // size:  # numpy's limit of an array's bytes; parts lie so far apart only if memory is full
            self.memory = as_strided(self.parts[lowest][:1].reshape(-1).view(f"V{size}"), (span,), (1,))

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows (M, ...) with these numbers, each from 0 to all rows - 1."""
        of = np.searchsorted(self.ends, rows, side="right")
        if self.memory is None:
            firsts = self.ends - [len(part) for part in self.parts]
            found = [self.parts[part][row - firsts[part]] for part, row in zip(of, rows, strict=True)]
            return np.stack(found) if found else np.empty((0, *self.row_shape), dtype=self.dtype)
        taken: NDArray[Any] = self.memory[self.origins[of] + rows * self.size].view(self.dtype)
        return taken.reshape(len(rows), *self.row_shape)


def row_numbers(key: Any, count: int) -> NDArray[np.int64]:
    """The numbers of the rows of a slice or of numbers, of `count` rows, none of them negative. Raises IndexError."""
    if isinstance(key, slice):
        return np.arange(*key.indices(count))
    numbers = np.asarray(key, dtype=np.int64)
    if len(numbers) and not -count <= numbers.min() <= numbers.max() < count:
        raise IndexError(f"a number is not one of the {count:,} rows")
    return np.where(numbers < 0, numbers + count, numbers)
