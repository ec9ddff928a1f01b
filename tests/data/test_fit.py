"""Images of several shapes as squares, compared with plain crops and resizes."""

import numpy as np
import pytest
from PIL import Image

from kshot.data.fit import fitted


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 24, 40])
def test_a_square_image_is_the_same_however_it_is_fitted(size: int, channels: int) -> None:
    pixels = noise(24, 24, channels)
    squashed = fitted(pixels, size, "squash")
    for fit in ("crop", "pad"):
        np.testing.assert_array_equal(fitted(pixels, size, fit), squashed)


def test_crop_is_the_centre_square_resized() -> None:
    wide, tall = noise(20, 36), noise(36, 20)
    np.testing.assert_array_equal(fitted(wide, 10, "crop"), resized(np.ascontiguousarray(wide[:, 8:28]), 10, 10))
    np.testing.assert_array_equal(fitted(tall, 10, "crop"), resized(np.ascontiguousarray(tall[8:28]), 10, 10))


def test_squash_scales_each_side_by_itself() -> None:
    pixels = noise(20, 36)
    np.testing.assert_array_equal(fitted(pixels, 10, "squash"), resized(pixels, 10, 10))


def test_pad_keeps_the_whole_image_between_bars_of_its_edge_colour() -> None:
    pixels = noise(20, 40)
    pixels[0] = pixels[-1] = pixels[:, 0] = pixels[:, -1] = (10, 20, 30)
    found = fitted(pixels, 16, "pad")
    np.testing.assert_array_equal(found[4:12], resized(pixels, 16, 8))
    assert (np.concatenate([found[:4], found[12:]]) == (10, 20, 30)).all()
    assert fitted(noise(2, 400), 16, "pad").shape == (16, 16, 3)
