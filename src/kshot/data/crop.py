"""Where a drawing lies on its paper: a square around the ink, so that neither place nor size has to be learned."""

import numpy as np
from numpy.typing import NDArray

# Each was chosen once, for the drawings of Omniglot; none was tuned.
MARGIN = 1.15  # the square's side as a multiple of the ink's longer one: room for what edges and moved views lose
LEAST = 0.48  # the square's side as a share of the image's longer one, at least: a dot stays smaller than a letter
CONTRAST = 32  # between ink and paper, of 255; below it there is nothing drawn


def crop_to_ink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square around what is drawn, its middle that of the ink, filled up with paper where it leaves the image.

    pixels (height, width, channels) uint8; returns (side, side, channels). The paper has the median colour of the
    outermost pixels, light or dark; ink is what differs from it, in any channel, by more than half of what any pixel
    does: a speck counts, and beside something black what is faint does not. An image in which nothing is drawn comes
    back as it is.
    """
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    paper = np.median(np.concatenate(edges), axis=0).astype(np.uint8)
    differs = (np.maximum(pixels, paper) - np.minimum(pixels, paper)).max(2)
    if differs.max() < CONTRAST:
        return pixels
    ink = differs > differs.max() // 2
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    side = round(float(max(MARGIN * longer, LEAST * max(ink.shape))))
    square: NDArray[np.uint8] = np.broadcast_to(paper, (side, side, pixels.shape[2])).copy()
    top, left = _start(rows, side), _start(columns, side)
    # Of each axis, the part of the square that lies on the image.
    down = slice(max(0, -top), min(side, ink.shape[0] - top))
    right = slice(max(0, -left), min(side, ink.shape[1] - left))
    square[down, right] = pixels[down.start + top : down.stop + top, right.start + left : right.stop + left]
    return square


def _start(inked: NDArray[np.intp], side: int) -> int:
    """The row or column in which a square of `side` begins whose middle is that of the `inked` ones."""
    # Where the room on both sides cannot be even, the end has the odd pixel, whatever the place: rounding a middle
    # would give it to either end in turn.
    extent = int(inked[-1]) - int(inked[0]) + 1
    return int(inked[0]) - (side - extent) // 2
