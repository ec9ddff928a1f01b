"""Images stored as JPEG, compared with the same images prepared one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kshot.data.batches import gather, resident
from kshot.data.images import Packed, decode, pack, pack_jpegs, prepare
from kshot.data.jpeg_images import OFFSETS, JpegImages
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest


def stored(folder: Path, channels: int) -> tuple[JpegImages, np.ndarray, Ingest]:
    """Twelve smooth images as JPEGs, and as stage evaluation of another path would prepare them."""
    ingest, paths = Ingest(32, channels, invert=False, crop="none", fit="crop", store="jpeg"), []
    for seed in range(12):
        coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8))
        paths.append(folder / f"{seed}.png")
        coarse.resize((70, 50), Image.Resampling.BICUBIC).save(paths[-1])
    records = list(pack_jpegs(paths, folder / "images.jpegs", ingest))
    assert [(one.path, one.width) for one in records if isinstance(one, Packed)] == [(path, 70) for path in paths]
    expected = np.stack([prepare(decode(path, channels), ingest) for path in paths])
    list(pack(paths, folder / "images.npy", ingest))
    np.testing.assert_array_equal(np.load(folder / "images.npy"), expected)
    return JpegImages(folder / "images.jpegs"), expected, ingest


@pytest.mark.parametrize("channels", [1, 3])
def test_stored_images_are_those_that_a_served_model_prepares(tmp_path: Path, channels: int) -> None:
    images, expected, _ = stored(tmp_path, channels)
    assert (len(images), images.shape, images.ndim) == (12, (12, 32, 32, channels), 4)
    np.testing.assert_array_equal(images[:], expected)
    np.testing.assert_array_equal(images[np.array([7, 0, 7])], expected[[7, 0, 7]])
    np.testing.assert_array_equal(images[-1], expected[-1])
    with pytest.raises(IndexError):
        images[12]


def test_a_batch_is_gathered_and_rotated_as_from_pixels(tmp_path: Path) -> None:
    images, expected, _ = stored(tmp_path, 3)
    ids = torch.tensor([3, 12 + 5, 36 + 1, 3])
    assert resident(images, torch.device("cpu")) is images
    assert torch.equal(gather(images, ids), gather(expected, ids))


def test_little_is_lost_and_photographs_take_less_space(tmp_path: Path) -> None:
    images, expected, ingest = stored(tmp_path, 3)
    pixels = Ingest(ingest.size, 3, invert=False, crop="none", fit="crop")
    plain = np.stack([prepare(decode(tmp_path / f"{seed}.png", 3), pixels) for seed in range(12)])
    assert np.abs(images[:].astype(int) - plain).mean() < 3
    assert images.file.stat().st_size < expected.nbytes / 2


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    first = stored(tmp_path, 3)[0].file.read_bytes()
    assert stored(tmp_path, 3)[0].file.read_bytes() == first


def test_a_file_that_was_cut_short_or_changed_is_refused(tmp_path: Path) -> None:
    images = stored(tmp_path, 3)[0]
    content = images.file.read_bytes()
    for changed, told in ((content[:-1], "does not end with its offsets"), (content[1:], "its offsets end at")):
        images.file.write_bytes(changed)
        with pytest.raises(DataError, match=f"{told}.* `dvc checkout --force ingest`"):
            JpegImages(images.file)


def test_a_file_of_an_older_kshot_has_its_offsets_beside_it(tmp_path: Path) -> None:
    images, expected, _ = stored(tmp_path, 3)
    np.save(tmp_path / OFFSETS, images.offsets)
    images.file.write_bytes(images.file.read_bytes()[: images.offsets[-1]])
    np.testing.assert_array_equal(JpegImages(images.file)[:], expected)
