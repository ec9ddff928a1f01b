from pathlib import Path

import numpy as np
import pytest

from kshot.data.shards.feature_shards import TABLE, read_features_table, write_features_shard, write_features_table
from kshot.errors import DataError
from kshot.lifecycle.doctor import stored_features
from kshot.lifecycle.project import layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features of two views, the shards of the first of which are two."""
    folder = tmp_path / layout.EMBEDDED
    folder.mkdir(parents=True)
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    first = [write_features_shard(part, folder, "part") for part in (rows[:4], rows[4:])]
    write_features_table(folder, [first, [write_features_shard(-rows, folder, "part")]])
    return folder


def test_whole_features_and_none_are_no_finding(folder: Path, tmp_path: Path) -> None:
    assert stored_features.look(tmp_path) == stored_features.look(tmp_path / "none") == []


def test_a_flipped_and_a_missing_shard_of_any_view_are_named_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    (flipped, _), (missing,) = read_features_table(folder)
    content = bytearray((folder / flipped.file).read_bytes())
    content[-1] ^= 1
    (folder / flipped.file).write_bytes(content)
    (folder / missing.file).unlink()
    first, second = map(str, stored_features.look(tmp_path))
    assert first.startswith(
        f"the shard {folder / flipped.file} of features was changed; needs the shard that stage embed"
    )
    assert f"{folder / missing.file} of features is missing" in second and "`dvc checkout --force embed`" in second


def test_a_damaged_table_is_an_error_with_its_remedy(folder: Path, tmp_path: Path) -> None:
    (folder / TABLE).write_text("{")
    with pytest.raises(DataError, match="is damaged .* `dvc repro embed`"):
        stored_features.look(tmp_path)
