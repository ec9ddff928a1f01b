"""Packed images in several shards, compared with one array of the same images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kshot.data.batches import gather, resident
from kshot.data.images import decode, prepare
from kshot.data.jpeg_images import JpegImages
from kshot.data.shards.pack_shards import write_shard, write_table
from kshot.data.shards.packed_shards import TABLE, ShardedImages, is_whole, open_shards, read_table
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest

SIDE, COUNTS = 8, (3, 5, 1, 4)


def packed(folder: Path, store: str = "pixels") -> np.ndarray:
    """Thirteen images in four shards; returns what they hold as one array."""
    ingest = Ingest(SIDE, 3, invert=False, crop="none", store=store)
    rng, shards, expected = np.random.default_rng(0), [], []
    for number, count in enumerate(COUNTS):
        paths = []
        for row in range(count):
            paths.append(folder / f"{number}-{row}.png")
            Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(paths[-1])
            expected.append(prepare(decode(paths[-1], 3), ingest))
        shard, origins = write_shard(paths, folder, ingest)
        assert shard is not None and shard.rows == count and all(one.is_readable for one in origins)
        shards.append(shard)
    write_table(folder, shards, ingest)
    assert read_table(folder) == shards
    return np.stack(expected)


@pytest.mark.parametrize("store", ["pixels", "jpeg"])
def test_shards_index_like_one_array(tmp_path: Path, store: str) -> None:
    expected = packed(tmp_path, store)
    images = open_shards(tmp_path)
    assert isinstance(images, ShardedImages)
    assert (len(images), images.shape, images.ndim, images.dtype) == (13, expected.shape, 4, expected.dtype)
    assert images.nbytes == expected.nbytes
    for key in (slice(None), slice(2, 11, 3), [12, 0, 3, 3, 2], np.array([8, 7]), np.array([-1, 0]), slice(0, 0)):
        np.testing.assert_array_equal(images[key], expected[key])
    for row in (0, 2, 3, 7, 8, 9, 12, -1, np.int64(5)):
        np.testing.assert_array_equal(images[row], expected[row])
    np.testing.assert_array_equal(np.array(images), expected)
    np.testing.assert_array_equal(np.stack(list(images)), expected)
    for outside in (13, [0, 13], [-14]):
        with pytest.raises(IndexError):
            images[outside]


@pytest.mark.parametrize("store", ["pixels", "jpeg"])
def test_a_batch_is_gathered_and_rotated_as_from_one_array(tmp_path: Path, store: str) -> None:
    expected = packed(tmp_path, store)
    images, ids = open_shards(tmp_path), torch.tensor([3, 13 + 12, 3 * 13 + 2, 26, 3])
    assert torch.equal(gather(images, ids), gather(expected, ids))
    assert resident(images, torch.device("cpu")) is images


def test_one_shard_is_the_mapped_array_itself(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    ingest = Ingest(SIDE, 3, invert=False, crop="none")
    shard, _ = write_shard([tmp_path / "a.png"], tmp_path, ingest)
    assert shard is not None
    write_table(tmp_path, [shard], ingest)
    assert isinstance(open_shards(tmp_path), np.memmap)


def test_a_shard_is_named_by_its_content_and_the_table_says_which_rows_it_has(tmp_path: Path) -> None:
    packed(tmp_path)
    table = json.loads((tmp_path / TABLE).read_text())
    assert [one["first"] for one in table["shards"]] == [0, 3, 8, 9]
    assert (table["rows"], table["shape"], table["store"]) == (13, [SIDE, SIDE, 3], "pixels")
    assert all(is_whole(tmp_path, shard) for shard in read_table(tmp_path))
    assert not list(tmp_path.glob("part*"))


def test_unreadable_files_alone_make_no_shard(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    shard, (origin,) = write_shard([tmp_path / "a.png"], tmp_path, Ingest(SIDE, 3, invert=False, crop="none"))
    assert shard is None and "no image" in origin.reason and len(origin.file) == 32


@pytest.mark.parametrize("store", ["pixels", "jpeg"])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), r"has [\d,]+ bytes instead of"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "is damaged|does not end with its offsets"),
    ],
)
def test_a_shard_that_is_missing_or_cut_is_named_with_the_remedy(
    tmp_path: Path, store: str, harm: object, told: str
) -> None:
    packed(tmp_path, store)
    shard = read_table(tmp_path)[2]
    harm(tmp_path / shard.file)  # type: ignore[operator]
    with pytest.raises(
        DataError, match=rf"{shard.file}.*({told}).*`dvc checkout --force ingest`, or make it again with"
    ):
        open_shards(tmp_path)


def test_a_flipped_byte_is_found_in_the_shard_that_has_it(tmp_path: Path) -> None:
    packed(tmp_path)
    flipped = read_table(tmp_path)[1]
    content = bytearray((tmp_path / flipped.file).read_bytes())
    content[-1] ^= 1
    (tmp_path / flipped.file).write_bytes(content)
    assert [shard for shard in read_table(tmp_path) if not is_whole(tmp_path, shard)] == [flipped]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"layout": 2, "parts": []}', "has layout 2, and this kshot reads 1; update kshot, or run stage ingest"),
        ("{", "is damaged .* `dvc checkout --force ingest`"),
        ("[]", "is damaged"),
        ('{"layout": 1, "shards": [{"file": "a.npy"}]}', "is damaged"),
        ('{"layout": 1, "shards": []}', "lists no shard"),
    ],
)
def test_a_table_of_another_kshot_or_a_damaged_one_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / TABLE).write_text(text)
    with pytest.raises(DataError, match=rf"{TABLE}.*{told}"):
        open_shards(tmp_path)


def test_jpeg_shards_are_opened_as_jpegs(tmp_path: Path) -> None:
    packed(tmp_path, "jpeg")
    images = open_shards(tmp_path)
    assert isinstance(images, ShardedImages) and all(isinstance(part, JpegImages) for part in images.parts)
