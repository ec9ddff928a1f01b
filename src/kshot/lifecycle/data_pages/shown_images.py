"""Thumbnails of files in DVC's cache for a page, encoded once each and limited in bytes."""

import functools
from pathlib import Path

from kshot.data.images import decoded
from kshot.errors import DataError
from kshot.lifecycle.pages.thumbnails import address_of

DRAWING = 128  # pixels; images whose longer side is at most this are shown smaller
SMALL_SIDE, LARGE_SIDE = 48, 80
PAGE_BYTES = 1_800_000  # of the thumbnails of classes; the sections below them add at most as many again
MOST_A_CLASS = 12


def side_for(longest: float) -> int:
    """The side of thumbnails for images whose longer side is this many pixels in the median."""
    return SMALL_SIDE if longest <= DRAWING else LARGE_SIDE


@functools.lru_cache(maxsize=1024)
def address(file: Path, side: int) -> str:
    """The image in `file` as a data address; '' if it cannot be read."""
    try:
        with decoded(file, 3) as pixels:
            grey = pixels[:, :, :1]
            return address_of(grey if (pixels == grey).all() else pixels, side)
    except (DataError, OSError):
        return ""


def shown_per_class(first: list[str]) -> tuple[int, int]:
    """How many classes a page shows and how many images of each, from the first thumbnail of some classes.

    first: one data address per class, in the order of the classes; '' where an image could not be read.
    """
    mean = max(1.0, sum(map(len, first)) / max(1, len(first)))
    fitting = max(1, int(PAGE_BYTES // mean))
    classes = min(len(first), fitting)
    return classes, max(1, min(MOST_A_CLASS, fitting // max(1, classes)))
