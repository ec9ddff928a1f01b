"""Crops an image to a square around its drawing, so that neither position nor size of a drawing has to be learned."""

import numpy as np
from numpy.typing import NDArray

# Each was chosen once, for the drawings of Omniglot; none was tuned.
MARGIN = 1.15  # the square's side as a multiple of the drawing's longer side: margin for edges and for shifted views
LEAST = 0.48  # the square's minimum side as a share of the image's longer side: a dot stays smaller than a letter
CONTRAST = 32  # minimum difference between drawing and paper, of 255; below it the image counts as blank


def crop_to_ink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop to the square centred on the drawing, padded with the paper's colour where it extends beyond the image.

    pixels (height, width, channels) uint8; returns (side, side, channels). The paper has the median colour of the
    outermost pixels, light or dark. The drawing is every pixel that differs from it, in any channel, by more than half
    of the largest difference: a speck belongs to it, and faint strokes next to black ones do not. A blank image is
    returned unchanged.
    """
    paper = edge_colour(pixels)
    differs = (np.maximum(pixels, paper) - np.minimum(pixels, paper)).max(2)
    if differs.max() < CONTRAST:
        return pixels
    foreground = differs > differs.max() // 2
    rows, columns = np.flatnonzero(foreground.any(1)), np.flatnonzero(foreground.any(0))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    side = round(float(max(MARGIN * longer, LEAST * max(foreground.shape))))
    square: NDArray[np.uint8] = np.broadcast_to(paper, (side, side, pixels.shape[2])).copy()
    top, left = _start(rows, side), _start(columns, side)
    # For each axis, the part of the square that lies on the image.
    down = slice(max(0, -top), min(side, foreground.shape[0] - top))
    right = slice(max(0, -left), min(side, foreground.shape[1] - left))
    square[down, right] = pixels[down.start + top : down.stop + top, right.start + left : right.stop + left]
    return square


def edge_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The median colour (channels,) of the outermost pixels of an image (height, width, channels)."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    colour: NDArray[np.uint8] = np.median(np.concatenate(edges), axis=0).astype(np.uint8)
    return colour


def _start(inked: NDArray[np.intp], side: int) -> int:
    """The first row or column of a square of `side` that is centred on the `inked` ones."""
    # If the margins cannot be equal, the end always gets the extra pixel: rounding the centre would give it to either
    # end, depending on the position.
    extent = int(inked[-1]) - int(inked[0]) + 1
    return int(inked[0]) - (side - extent) // 2
