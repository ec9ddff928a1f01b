"""A bound on the memory that images take while they are decoded, over all threads of a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

BYTES_A_PIXEL = 20  # Pillow's own image, its copies in other modes, and numpy's: the most at one time
MOST = 2**30  # bytes; one image that takes more is decoded alone


class MemoryBudget:
    """Lets blocks run side by side while the bytes that they need together, `taken`, stay below `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, needed: int) -> Iterator[None]:
        """Wait until `needed` bytes are free, or nothing else is held, and hold them during the block."""
        with self._changed:
            self._changed.wait_for(lambda: self.taken == 0 or self.taken + needed <= self.most)
            self.taken += needed
        try:
            yield
        finally:
            with self._changed:
                self.taken -= needed
                self._changed.notify_all()


DECODING = MemoryBudget(MOST)
