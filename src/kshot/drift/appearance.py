"""Appearance statistics of images, without a network: size, brightness, contrast, clipping, sharpness."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kshot.data.images import ImageArray

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow's grey
NEAR_END = 0.02  # as a share of the range from black to white: pixels nearer to an end count as clipped
AT_ONCE = 64  # images
LEAST = 1 / 255**2  # added to both terms of the sharpness, so that it is defined for a blank image


class Appearance(NamedTuple):
    """One number per image, (N,) float64 each.

    size        binary logarithm of the original image's side in pixels, the square root of width times height
    brightness  mean luminance in [0, 1], 1 is white
    contrast    standard deviation of the luminance
    clipped     share of the pixels that are black or white, where detail was lost
    sharpness   binary logarithm of the mean square of the Laplacian over the variance: the share of edges, independent
                of the contrast; one octave less is half as much (after Pech-Pacheco et al. 2000)
    """

    size: NDArray[np.float64]
    brightness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    clipped: NDArray[np.float64]
    sharpness: NDArray[np.float64]


def appearance(pixels: ImageArray, sides: NDArray[np.float64], inverted: bool) -> Appearance:
    """Measure the appearance of images that are prepared for a model.

    pixels (N, S, S, C) uint8, in memory or memory-mapped, the model's input, so that only blur visible at its
    resolution counts; sides (N,), the original images' sides in pixels; `inverted`: whether light and dark were
    exchanged. AT_ONCE images are in memory as numbers of 8 bytes.
    """
    parts = [_measured(pixels[start : start + AT_ONCE], inverted) for start in range(0, len(pixels), AT_ONCE)]
    measures = np.concatenate(parts, 1) if parts else np.empty((len(Appearance._fields) - 1, 0))
    return Appearance(np.log2(np.asarray(sides, dtype=np.float64)), *measures)


def _measured(pixels: ImageArray, inverted: bool) -> NDArray[np.float64]:
    """Brightness, contrast, clipping and sharpness of images, (4, N)."""
    light = np.stack([_luminance(image) for image in pixels])
    if inverted:
        light = 1 - light
    flat = light.reshape(len(light), light.shape[1] * light.shape[2])
    variance = flat.var(1)
    edges = (
        light[:, :-2, 1:-1] + light[:, 2:, 1:-1] + light[:, 1:-1, :-2] + light[:, 1:-1, 2:] - 4 * light[:, 1:-1, 1:-1]
    )
    clipped = ((flat < NEAR_END) | (flat > 1 - NEAR_END)).mean(1)
    sharpness = np.log2((np.square(edges).mean((1, 2)) + LEAST) / (variance + LEAST))
    return np.stack([flat.mean(1), np.sqrt(variance), clipped, sharpness])


def _luminance(image: ImageArray) -> NDArray[np.float64]:
    """The luminance (S, S) in [0, 1] of an image (S, S, C)."""
    scaled = image / 255
    grey: NDArray[np.float64] = scaled[:, :, 0] if image.shape[2] == 1 else scaled @ np.array(LUMINANCE)
    return grey
