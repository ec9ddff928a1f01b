from pathlib import Path

import pytest

from kshot.data.shards.packed_shards import read_table
from kshot.data.shards.shard_plan import ShardSizes
from kshot.errors import DataError
from kshot.lifecycle.doctor import packed_images
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest
from tests.lifecycle.raw_project import SMALL, settings, write_raw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_raw(tmp_path, {f"c{number}": 4 for number in range(12)})
    ingest.run(tmp_path, settings(**SMALL), ShardSizes(8 * 64, 16 * 64))
    return tmp_path


def test_whole_shards_and_no_packed_images_are_no_finding(root: Path, tmp_path: Path) -> None:
    assert packed_images.look(root) == packed_images.look(tmp_path / "none") == []


def test_a_flipped_and_a_missing_shard_are_named_with_the_remedy(root: Path) -> None:
    flipped, missing, *_ = (root / layout.PACKED / shard.file for shard in read_table(root / layout.PACKED))
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)
    missing.unlink()
    first, second = map(str, packed_images.look(root))
    assert first.startswith(
        f"the shard {flipped} of packed images was changed; needs the shard that stage ingest wrote"
    )
    assert f"{missing} of packed images is missing" in second and "`dvc checkout --force ingest`" in second


def test_a_table_of_a_newer_kshot_is_an_error_with_its_remedy(root: Path) -> None:
    (root / layout.PACKED / "shards.json").write_text('{"layout": 9}')
    with pytest.raises(DataError, match="this kshot reads 1; update kshot"):
        packed_images.look(root)
