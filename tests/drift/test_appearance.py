"""Appearance statistics: values by hand, and each measure changes only with its own property."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kshot.drift.appearance import AT_ONCE, LEAST, appearance

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(60, 180, (4, 12, 12, 1)).astype(np.uint8)


def of(pixels, sides=(105.0,) * 4, inverted=False):
    return appearance(pixels, np.array(sides[: len(pixels)]), inverted)


def test_numbers_by_hand():
    image = np.zeros((1, 3, 3, 1), dtype=np.uint8)
    image[0, 1, 1] = 255
    found = of(image, (8.0,))
    assert found.size[0] == 3
    assert found.brightness[0] == pytest.approx(1 / 9)
    assert found.contrast[0] == pytest.approx((1 / 9 * 8 / 9) ** 0.5)
    assert found.clipped[0] == 1
    assert found.sharpness[0] == pytest.approx(np.log2((16 + LEAST) / (8 / 81 + LEAST)))


def test_colour_counts_by_its_luminance():
    image = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    image[..., 1] = 255
    assert of(image).brightness[0] == pytest.approx(0.587)


def test_light_and_dark_exchanged_on_the_way_are_exchanged_back():
    for one, other in zip(of(IMAGES), of(255 - IMAGES, inverted=True), strict=True):
        assert one == pytest.approx(other)


def test_sharpness_knows_nothing_of_contrast_and_falls_with_blur():
    plain = of(IMAGES)
    flat = of((120 + (IMAGES.astype(float) - 120) / 2).round().astype(np.uint8))
    assert flat.contrast == pytest.approx(plain.contrast / 2, rel=0.02)
    assert flat.sharpness == pytest.approx(plain.sharpness, abs=0.1)
    blurred = [np.asarray(Image.fromarray(one[:, :, 0]).filter(ImageFilter.GaussianBlur(1))) for one in IMAGES]
    assert (of(np.stack(blurred)[..., None]).sharpness < plain.sharpness - 1).all()


def test_blank_images_and_none_at_all_have_numbers():
    blank = of(np.full((2, 5, 5, 1), 255, dtype=np.uint8))
    assert all(np.isfinite(column).all() for column in blank) and (blank.sharpness == 0).all()
    assert all(len(column) == 0 for column in of(IMAGES[:0]))


def test_memory_does_not_grow_with_the_number_of_images():
    def peak(count):
        pixels = np.zeros((count, 48, 48, 1), dtype=np.uint8)
        tracemalloc.start()
        of(pixels, (8.0,) * count)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(4 * AT_ONCE) < 1.1 * peak(AT_ONCE)
