"""Draws the progress of a command without a flow, in place, on standard error if that is a terminal."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

EVERY_S = 0.2
_Item = TypeVar("_Item")
_drawn = False


def step(text: str) -> None:
    """Draw the current step over the previous one."""
    global _drawn
    if sys.stderr.isatty():
        row = f"{text} ..."[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{row}", end="", file=sys.stderr, flush=True)
        _drawn = True


def counted(items: Iterable[_Item], total: int, text: str) -> Iterator[_Item]:
    """Yield `items` and draw how many of `total` are done."""
    drawn_at = 0.0
    for number, item in enumerate(items, 1):
        if (now := time.monotonic()) - drawn_at > EVERY_S:
            step(f"{text} {number:,} of {total:,}")
            drawn_at = now
        yield item


def clear() -> None:
    """Erase the progress line before a result or an error is printed."""
    global _drawn
    if _drawn:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    _drawn = False
