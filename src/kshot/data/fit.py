"""Fits an image of any shape into the square that a network sees: cropped, padded or squashed."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kshot.data.crop import edge_colour

FILTER = Image.Resampling.LANCZOS  # with antialiasing


def fitted(pixels: NDArray[np.uint8], size: int, fit: str) -> NDArray[np.uint8]:
    """The image as a square: uint8 (size, size, channels), of pixels (height, width, channels) uint8.

    fit   crop    the centre square, whose side is the image's shorter side
          pad     the whole image in its proportions, between bars of the median colour of its outermost pixels
          squash  the whole image, its sides scaled separately
    A square image gives the same pixels with each.
    """
    height, width, channels = pixels.shape
    if fit == "crop":
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    if fit == "pad" and height != width:
        shape = (max(1, round(size * width / max(height, width))), max(1, round(size * height / max(height, width))))
        small = np.asarray(image.resize(shape, FILTER)).reshape(shape[1], shape[0], channels)
        square: NDArray[np.uint8] = np.broadcast_to(edge_colour(pixels), (size, size, channels)).copy()
        top, left = (size - shape[1]) // 2, (size - shape[0]) // 2
        square[top : top + shape[1], left : left + shape[0]] = small
        return square
    return np.asarray(image.resize((size, size), FILTER)).reshape(size, size, channels)
