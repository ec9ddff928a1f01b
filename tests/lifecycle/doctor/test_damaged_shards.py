from pathlib import Path

import numpy as np
import pytest

from kshot.data.shards.feature_shards import TABLE, read_features_table, write_features_shard, write_features_table
from kshot.data.shards.packed_shards import read_table
from kshot.data.shards.shard_plan import ShardSizes
from kshot.errors import DataError
from kshot.lifecycle.doctor.damaged_shards import feature_findings, packed_findings
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest
from tests.lifecycle.raw_project import SMALL, settings, write_raw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_raw(tmp_path, {f"c{number}": 4 for number in range(12)})
    ingest.run(tmp_path, settings(**SMALL), ShardSizes(8 * 64, 16 * 64))
    return tmp_path


def test_whole_shards_and_no_packed_images_are_no_finding(root: Path, tmp_path: Path) -> None:
    assert packed_findings(root) == packed_findings(tmp_path / "none") == []


def test_a_flipped_and_a_missing_shard_are_named_with_the_remedy(root: Path) -> None:
    flipped, missing, *_ = (root / layout.PACKED / shard.file for shard in read_table(root / layout.PACKED))
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)
    missing.unlink()
    first, second = map(str, packed_findings(root))
    assert first.startswith(
        f"the shard {flipped} of packed images was changed; needs the shard that stage ingest wrote"
    )
    assert f"{missing} of packed images is missing" in second and "`dvc checkout --force ingest`" in second


def test_a_table_of_a_newer_kshot_is_an_error_with_its_remedy(root: Path) -> None:
    (root / layout.PACKED / "shards.json").write_text('{"layout": 9}')
    with pytest.raises(DataError, match="this kshot reads 1; update kshot"):
        packed_findings(root)


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
    assert feature_findings(tmp_path) == feature_findings(tmp_path / "none") == []


def test_a_flipped_and_a_missing_shard_of_any_view_are_named_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    (flipped, _), (missing,) = read_features_table(folder)
    content = bytearray((folder / flipped.file).read_bytes())
    content[-1] ^= 1
    (folder / flipped.file).write_bytes(content)
    (folder / missing.file).unlink()
    first, second = map(str, feature_findings(tmp_path))
    assert first.startswith(
        f"the shard {folder / flipped.file} of features was changed; needs the shard that stage embed"
    )
    assert f"{folder / missing.file} of features is missing" in second and "`dvc checkout --force embed`" in second


def test_a_damaged_table_is_an_error_with_its_remedy(folder: Path, tmp_path: Path) -> None:
    (folder / TABLE).write_text("{")
    with pytest.raises(DataError, match="is damaged .* `dvc repro embed`"):
        feature_findings(tmp_path)
