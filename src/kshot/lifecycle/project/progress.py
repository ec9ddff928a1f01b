"""Draws the progress of a command without a flow, in place, on standard error if that is a terminal."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

EVERY_S = 0.2
TIMED_S = 2.0  # of work, before the rest is predicted
WORTH_SAYING_S = 5.0
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
    """Yield `items` and draw how many of `total` are done, and how long the others will take."""
    drawn_at, began = 0.0, time.monotonic()
    for number, item in enumerate(items, 1):
        if (now := time.monotonic()) - drawn_at > EVERY_S:
            left = (now - began) / max(number - 1, 1) * (total - number + 1)
            shown = f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min"
            rest = f", about {shown} left" if now - began > TIMED_S and left > WORTH_SAYING_S else ""
            step(f"{text} {number:,} of {total:,}{rest}")
            drawn_at = now
        yield item


def clear() -> None:
    """Erase the progress line before a result or an error is printed."""
    global _drawn
    if _drawn:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    _drawn = False
