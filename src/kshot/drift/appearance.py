"""What images look like, before any network sees them: size, light, contrast, clipping, sharpness."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kshot.data.images import Pixels

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow's grey
NEAR_END = 0.02  # of the range from black to white: pixels nearer to an end count as clipped
LEAST = 1 / 255**2  # added to both terms of the sharpness, so that a blank image has one


class Appearance(NamedTuple):
    """One number per image, (N,) float64 each.

    size        binary logarithm of the side, the root of width times height, as the image came, in pixels
    brightness  mean luminance in [0, 1], 1 is white
    contrast    standard deviation of the luminance
    clipped     share of the pixels that are black or white, where light was lost
    sharpness   binary logarithm of the mean square of the Laplacian over the variance: how much of what is seen are
                edges, whatever the contrast; one octave less is half as much (after Pech-Pacheco et al. 2000)
    """

    size: NDArray[np.float64]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    clipped: NDArray[np.float64]
    sharpness: NDArray[np.float64]


def appearance(pixels: Pixels, sides: NDArray[np.float64], inverted: bool) -> Appearance:
    """The appearance of images that are prepared for a model.

    pixels (N, S, S, C) uint8, as the model is shown them, so that only blur that reaches it counts; `inverted` says
    that light and dark were exchanged on the way; sides (N,) in pixels, before.
    """
    light = np.stack([_luminance(image) for image in pixels]) if len(pixels) else np.empty((0, 3, 3))
    if inverted:
        light = 1 - light
    flat = light.reshape(len(light), light.shape[1] * light.shape[2])
    variance = flat.var(1)
    edges = (
        light[:, :-2, 1:-1] + light[:, 2:, 1:-1] + light[:, 1:-1, :-2] + light[:, 1:-1, 2:] - 4 * light[:, 1:-1, 1:-1]
    )
    return Appearance(
        size=np.log2(np.asarray(sides, dtype=np.float64)),
        brightness=flat.mean(1),
        contrast=np.sqrt(variance),
        clipped=((flat < NEAR_END) | (flat > 1 - NEAR_END)).mean(1),
        sharpness=np.log2((np.square(edges).mean((1, 2)) + LEAST) / (variance + LEAST)),
    )


def _luminance(image: Pixels) -> NDArray[np.float64]:
    """An image (S, S, C) as luminance (S, S) in [0, 1]."""
    scaled = image / 255
    grey: NDArray[np.float64] = scaled[:, :, 0] if image.shape[2] == 1 else scaled @ np.array(LUMINANCE)
    return grey
