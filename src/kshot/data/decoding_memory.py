"""Limits the memory used for decoding images, over all threads of a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

BYTES_A_PIXEL = 20  # peak of Pillow's image, its copies in other modes, and numpy's array
MOST = 2**30  # bytes; an image that needs more is decoded alone
SMALL = 512  # an image that needs this fraction of the budget, or less, waits for no other


class MemoryBudget:
    """Lets blocks run concurrently as long as the bytes that they need together, `taken`, stay below `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, needed: int) -> Iterator[None]:
        """Wait until `needed` bytes are free, or no other block runs, and reserve them during the block.

        A block that needs little waits for nothing: its thread may be one that many requests wait for.
        """
        with self._changed:
            if needed * SMALL > self.most:
                self._changed.wait_for(lambda: self.taken == 0 or self.taken + needed <= self.most)
            self.taken += needed
        try:
            yield
        finally:
            with self._changed:
                self.taken -= needed
                self._changed.notify_all()


DECODING = MemoryBudget(MOST)
