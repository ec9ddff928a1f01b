import numpy as np
import pytest

from kshot.errors import DataError
from kshot.lifecycle.data.packed import PIXELS, read_images
from kshot.lifecycle.project import layout

IMAGES = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)


@pytest.fixture
def packed(tmp_path):
    (tmp_path / layout.PACKED).mkdir(parents=True)
    np.save(tmp_path / layout.PACKED / PIXELS, IMAGES)
    return tmp_path


def test_pixels_are_mapped_and_not_read(packed):
    images = read_images(packed)
    assert isinstance(images, np.memmap) and np.array_equal(images, IMAGES)


@pytest.mark.parametrize("left", [0, 5, 90, 128 + 40])
def test_a_file_that_was_cut_short_is_named_with_the_remedy(packed, left):
    file = packed / layout.PACKED / PIXELS
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(
        DataError, match=r"images.npy is damaged .*; bring it back with `dvc checkout --force ingest`, or make"
    ):
        read_images(packed)


@pytest.mark.parametrize("other", [IMAGES[..., 0], IMAGES.astype(np.float32)])
def test_an_array_of_another_form_is_named_with_the_remedy(packed, other):
    np.save(packed / layout.PACKED / PIXELS, other)
    with pytest.raises(DataError, match=r"packed images are uint8 \(N, S, S, C\); bring it back"):
        read_images(packed)


def test_shards_without_their_table_are_named_with_the_remedy(packed):
    (packed / layout.PACKED / PIXELS).rename(packed / layout.PACKED / "0123.npy")
    with pytest.raises(DataError, match=r"shards.json, the table of the packed images, is missing; bring it back"):
        read_images(packed)


def test_no_packed_images_are_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_images(tmp_path)
