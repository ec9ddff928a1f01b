"""Images of every kind become the pixels that stage ingest packs; anything else is refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kshot.data.images import decode, prepare
from kshot.errors import DataError
from kshot.estimator.image_arrays import prepared, prepared_and_hashed
from kshot.params.sections.ingest import Ingest

GREY = Ingest(size=12, channels=1, invert=True, crop="ink")
COLOUR = Ingest(size=12, channels=3, invert=False, crop="none")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pixels = np.full((20, 30, 3), 255, np.uint8)
    pixels[5:15, 4:9] = (200, 30, 10)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("ingest", [GREY, COLOUR])
def test_paths_bytes_pil_images_and_arrays_are_prepared_as_ingest_does(file: Path, ingest: Ingest) -> None:
    expected = prepare(decode(file, ingest.channels), ingest)
    array = np.asarray(Image.open(file))
    for image in (file, str(file), file.read_bytes(), Image.open(file), array):
        found = prepared([image], ingest)
        assert found.dtype == np.uint8 and np.array_equal(found, expected[None])
    assert np.array_equal(prepared(array[None], ingest), expected[None])


def test_files_and_arrays_of_different_sizes_go_together(file: Path) -> None:
    wide, tall = np.zeros((8, 30, 3), np.uint8), np.zeros((30, 8, 3), np.uint8)
    assert prepared([wide, file, tall], COLOUR).shape == (3, 12, 12, 3)


def test_grey_transparent_and_single_channel_arrays_are_taken() -> None:
    grey, alpha = np.full((9, 9), 40, np.uint8), np.zeros((9, 9, 4), np.uint8)
    assert prepared([grey], COLOUR)[0, 0, 0].tolist() == [40, 40, 40]
    assert prepared(grey[None, :, :, None], COLOUR)[0, 0, 0].tolist() == [40, 40, 40]
    assert prepared([alpha], COLOUR)[0, 0, 0].tolist() == [255, 255, 255]  # transparent on white


def test_one_lazy_image_listed_often_is_loaded_in_one_thread(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    for ending in ("png", "jpg"):
        Image.fromarray(noise).save(tmp_path / f"a.{ending}")
        expected = prepared([tmp_path / f"a.{ending}"], COLOUR)
        found = prepared([Image.open(tmp_path / f"a.{ending}")] * 8, COLOUR)
        assert np.array_equal(found, expected.repeat(8, 0))


def test_the_hash_of_an_image_is_the_same_for_every_ingest(file: Path) -> None:
    other = np.asarray(Image.open(file)).copy()
    other[10, 5] = (60, 100, 10)  # nearly the same grey
    grey, colour = (prepared_and_hashed([file, other, file.read_bytes()], ingest) for ingest in (GREY, COLOUR))
    assert grey[1] == colour[1] and grey[1][0] == grey[1][2] != grey[1][1]
    assert np.array_equal(grey[0], prepared([file, other, file], GREY))
    assert np.array_equal(colour[0], prepared([file, other, file], COLOUR))


def closed(file: Path) -> Image.Image:
    image = Image.open(file)
    image.close()
    return image


def test_pil_images_that_cannot_be_used_are_told_in_one_line(file: Path) -> None:
    for image, message in ((closed(file), "it cannot be decoded"), (Image.new("LAB", (4, 4)), "conversion from LAB")):
        with pytest.raises(DataError, match=rf"images\[1\]: .*{message}") as caught:
            prepared([file, image], GREY)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images holds no image; needs at least one"),
        ("a.png", r"images is one str; needs a list of images"),
        (7, r"images is int; needs a list of images, or an array \(N, H, W, C\)"),
        ([7], r"images\[0\]: it is int; needs a path"),
        (np.zeros((4, 4, 3), np.uint8), r"images is an array of shape \(4, 4, 3\); needs \(N, H, W, C\)"),
        (np.zeros((1, 4, 4, 3)), r"images\[0\]: it is an array of float64; needs uint8"),
        (np.zeros((1, 4, 4, 2), np.uint8), r"images\[0\]: it is an array of shape \(4, 4, 2\)"),
        ([np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)], r"of shape \(4, 4\) and \(4, 4, 3\)"),
        (["a.png", np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)], r"of shape \(4, 4\) and \(4, 4, 3\)"),
        (["missing.png"], r"images\[0\] \(missing.png\) cannot be read: No such file"),
        ([b"no image"], r"images\[0\]: it is no image that can be read"),
    ],
)
def test_what_is_no_image_is_told_in_one_line(images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepared(images, COLOUR)
    assert "\n" not in str(caught.value)
