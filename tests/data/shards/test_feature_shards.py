"""Features in shards are read as one array, and a shard that is missing or damaged is named."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kshot.data.batches import gather, resident
from kshot.data.jpeg_images import JpegImages, jpeg, offsets_block
from kshot.data.shards.feature_shards import (
    TABLE,
    ShardedFeatures,
    open_features,
    write_features_shard,
    write_features_table,
)
from kshot.data.shards.packed_shards import ShardedImages
from kshot.data.shards.row_digests import row_digests
from kshot.errors import DataError

ROWS = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shards = [write_features_shard(ROWS[start:end], tmp_path, "part") for start, end in ((0, 7), (7, 8), (8, 20))]
    write_features_table(tmp_path, [shards])
    return tmp_path


def test_shards_are_indexed_like_one_array(folder: Path) -> None:
    found = open_features(folder, 0)
    assert isinstance(found, ShardedFeatures)
    assert (found.shape, found.ndim, found.dtype, found.nbytes) == (ROWS.shape, 2, ROWS.dtype, ROWS.nbytes)
    for key in (3, -1, slice(5, 12), slice(None), [19, 7, 0, 7, -2], np.array([], dtype=np.int64)):
        np.testing.assert_array_equal(found[key], ROWS[key])
    np.testing.assert_array_equal(np.array(found), ROWS)
    ids = torch.tensor([19, 7, 6, 0])
    assert torch.equal(gather(resident(found, torch.device("cpu")), ids), torch.from_numpy(ROWS)[ids])
    with pytest.raises(IndexError):
        found[[20]]


def test_one_shard_is_the_mapped_file_itself(tmp_path: Path) -> None:
    write_features_table(tmp_path, [[write_features_shard(ROWS, tmp_path, "part")]])
    assert isinstance(open_features(tmp_path, 0), np.memmap)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shard, _: shard.unlink(), "shard .* of features is missing"),
        (lambda shard, _: shard.write_bytes(shard.read_bytes()[:-1]), "shard .* of features is damaged"),
        (lambda shard, _: np.save(shard, ROWS), "is float32 .20, 5. instead of 7 features"),
        (lambda _, table: table.write_text("{}"), "features.json is damaged"),
        (lambda _, table: table.write_text('{"layout": 2, "views": []}'), "features.json"),
    ],
)
def test_what_is_missing_or_damaged_is_named(folder: Path, damage, message: str) -> None:
    first = next(path for path in folder.glob("*.npy") if len(np.load(path)) == 7)
    damage(first, folder / TABLE)
    with pytest.raises(DataError, match=f"{message}.*`dvc repro embed`|{message}.*update kshot"):
        open_features(folder, 0)


def test_equal_stored_images_have_one_digest_and_no_other_has_it(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 1), dtype=np.uint8)
    pixels[3] = pixels[0]
    found = row_digests(pixels)
    assert found == row_digests(ShardedImages([pixels[:1], pixels[1:]])) and found[3] == found[0]
    assert len(set(found)) == 3
    encoded = [jpeg(image) for image in pixels]
    (tmp_path / "a.jpegs").write_bytes(b"".join(encoded) + offsets_block([0, *np.cumsum([*map(len, encoded)])]))
    of_jpegs = row_digests(JpegImages(tmp_path / "a.jpegs"))
    assert of_jpegs[3] == of_jpegs[0] and len(set(of_jpegs)) == 3
