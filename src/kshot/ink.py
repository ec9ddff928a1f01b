"""Where a drawing lies on its paper: a square around the ink, so that neither place nor size has to be learned."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
MARGIN = 1.15  # the square's side in those of the ink's longer one: room for what a network's edges and views lose
LEAST = 0.48  # of the picture's longer side: a dot stays smaller than a letter
CONTRAST = 32  # between ink and paper, of 255; below it there is nothing drawn


def crop_to_ink(pixels: Pixels, *, dark: bool) -> Pixels:
    """The square around what is drawn, its middle that of the ink, filled up with paper where it leaves the picture.

    pixels (height, width, channels) uint8; returns (side, side, channels). Ink is what is darker (`dark`), or lighter,
    than halfway between the lightest and the darkest pixel; the paper has the median colour. A picture in which
    nothing is drawn comes back as it is.
    """
    light = pixels.mean(2)
    if np.ptp(light) < CONTRAST:
        return pixels
    halfway = (light.max() + light.min()) / 2
    ink = light < halfway if dark else light > halfway
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    side = round(float(max(MARGIN * longer, LEAST * max(light.shape))))
    paper = np.median(pixels, axis=(0, 1)).astype(np.uint8)
    square: Pixels = np.broadcast_to(paper, (side, side, pixels.shape[2])).copy()
    top, left = _start(rows, side), _start(columns, side)
    # Of each axis, the part of the square that lies on the picture.
    down = slice(max(0, -top), min(side, light.shape[0] - top))
    right = slice(max(0, -left), min(side, light.shape[1] - left))
    square[down, right] = pixels[down.start + top : down.stop + top, right.start + left : right.stop + left]
    return square


def _start(inked: NDArray[np.intp], side: int) -> int:
    """Where a square of `side` begins whose middle is that of the `inked` rows or columns."""
    return round((float(inked[0]) + float(inked[-1]) + 1 - side) / 2)
