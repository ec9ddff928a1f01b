"""Stage ingest in shards: what an added class rewrites, and what an ingest that was ended early does again."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kshot.data import images as images_module
from kshot.data.shards.packed_shards import TABLE, read_table
from kshot.data.shards.shard_plan import ShardSizes
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from tests.lifecycle import raw_project
from tests.lifecycle.dvc_outputs import save
from tests.lifecycle.raw_project import REPOSITORY, SMALL, files_below, settings, write_manifest, write_raw

SIZES = ShardSizes(least=8 * 64, most=32 * 64)  # of images of 8 x 8 pixels
CLASSES = {f"c{number:03}": 4 for number in range(50)}

# Notes every image that is decoded, and ends itself by SIGKILL at the image with the number that it was given.
RUN = """
import os, signal, sys
from pathlib import Path
from kshot.data import images
from kshot.data.shards.shard_plan import ShardSizes
from kshot.lifecycle.stages import ingest
from tests.lifecycle.raw_project import SMALL, settings

opened, log, last = images._opened_once, open("decoded.txt", "a", buffering=1), int(sys.argv[1])
done = 0

def noted(path):
    global done
    done += 1
    log.write(f"{path.as_posix()}\\n")
    if done == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return opened(path)

images._opened_once = noted
images.os.cpu_count = lambda: 1
ingest.run(Path("."), settings(**SMALL), ShardSizes(8 * 64, 32 * 64))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_raw(tmp_path, CLASSES)
    return tmp_path


def pack(root: Path) -> dict[str, bytes]:
    ingest.run(root, settings(**SMALL), SIZES)
    return files_below(root / layout.PACKED)


def store(root: Path) -> ShardStore:
    return ShardStore(root, "ingest")


def forget_all(root: Path) -> None:
    """What earlier ingests finished."""
    store(root).delete_notes(but=())
    store(root).delete_shards(but=())


def decode(root: Path, last: int = 0) -> tuple[int, list[str]]:
    """Run stage ingest in a process that ends at its image number `last`: its exit code, and the images it decoded."""
    log = root / "decoded.txt"
    log.unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", RUN, str(last)]
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, log.read_text().splitlines()


@pytest.mark.parametrize("store", ["pixels", "jpeg"])
def test_many_shards_hold_the_images_that_one_holds(root: Path, store: str) -> None:
    asked = settings(ingest={**SMALL["ingest"], "store": store})
    ingest.run(root, asked, ShardSizes(8 * 6, 32 * 6) if store == "jpeg" else SIZES)
    images, manifest = read_images(root), read_manifest(root)
    assert len(read_table(root / layout.PACKED)) > 8 and len(manifest) == len(images) == 200
    ingest.run(root, asked)
    assert len(read_table(root / layout.PACKED)) == 1
    np.testing.assert_array_equal(read_images(root)[:], images[:])
    assert manifest.equals(read_manifest(root))


def test_an_added_class_rewrites_under_1_percent_of_a_large_data_set(tmp_path: Path) -> None:
    """With small shards instead of many images: the bytes of the shards that the first data version did not have."""
    sizes = ShardSizes(least=2 * 64, most=8 * 64)
    write_raw(tmp_path, {f"c{number:04}": 2 for number in range(1000)})
    ingest.run(tmp_path, settings(**SMALL), sizes)
    before = set(read_table(tmp_path / layout.PACKED))
    write_raw(tmp_path, {"c0500-new": 2})
    ingest.run(tmp_path, settings(**SMALL), sizes)
    after = read_table(tmp_path / layout.PACKED)
    new = sum(shard.bytes for shard in after if shard not in before)
    assert 2 * 64 <= new < 0.01 * sum(shard.bytes for shard in after)
    assert sum(shard.rows for shard in after) == 2002


@pytest.mark.parametrize("last", [1, 90, 199])
def test_an_ingest_that_was_killed_decodes_one_shard_again_at_most(root: Path, last: int) -> None:
    code, first = decode(root, last)
    assert code == -signal.SIGKILL and len(first) == last
    assert not (root / layout.PACKED / TABLE).exists()
    code, second = decode(root)
    assert code == 0
    again = set(first) & set(second)
    assert len(again) <= SIZES.most // 64 and set(first) | set(second) == {
        path.relative_to(root).as_posix() for path in (root / layout.RAW / "images").rglob("*.png")
    }
    found = files_below(root / layout.PACKED)
    forget_all(root)
    assert found == pack(root)


def test_a_changed_image_a_changed_setting_and_a_flipped_shard_are_packed_again(root: Path) -> None:
    decode(root, 150)
    folder = store(root).folder
    assert len(list(folder.glob("*.npy"))) > 4
    changed = root / layout.RAW / "images/c000/0.png"
    changed.write_bytes((root / layout.RAW / "images/c049/3.png").read_bytes())
    flipped = sorted(folder.glob("*.npy"))[0]
    content = bytearray(flipped.read_bytes())
    content[-1] ^= 1
    flipped.write_bytes(content)
    found = pack(root)
    forget_all(root)
    assert found == pack(root)
    ingest.run(root, settings(ingest={**SMALL["ingest"], "invert": False}), SIZES)
    assert not files_below(root / layout.PACKED).keys() & found.keys() - {"manifest.parquet", "unreadable.csv", TABLE}


def test_finished_shards_of_other_images_are_deleted(root: Path) -> None:
    decode(root, 150)
    (root / layout.RAW / "images/c000/0.png").unlink()
    write_manifest(root)
    pack(root)
    stored = {path.name for path in store(root).folder.glob("*.npy")}
    assert stored == {shard.file for shard in read_table(root / layout.PACKED)}


def test_a_finished_shard_is_linked_and_takes_no_disk_twice(root: Path) -> None:
    pack(root)
    for shard in read_table(root / layout.PACKED):
        assert (root / layout.PACKED / shard.file).samefile(store(root).folder / shard.file)


def test_a_file_system_without_hard_links_gets_the_shards_moved(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = pack(root)

    def refused(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    assert pack(root) == expected
    assert pack(root) == expected  # the notes are there, the shards are not


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_in_the_seventh_shard_is_one_line_and_loses_nothing(root: Path) -> None:
    (root / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    code = """
import io, sys
from pathlib import Path
from kshot.data.shards import pack_shards
from kshot.data.shards.shard_plan import ShardSizes
from kshot.lifecycle.stages import entry, ingest

write, number = pack_shards.write_shard, 0

def seventh_is_full(paths, folder, ingest, *, part, stored):
    global number
    number += 1
    if number == 7:
        (folder / f"{part}.npy").symlink_to("/dev/full")
    return write(paths, folder, ingest, part=part, stored=stored)

pack_shards.write_shard = seventh_is_full

def run(root, params):
    ingest.run(root, params, ShardSizes(8 * 784, 32 * 784))

entry.code_read.renew = lambda *_: None
entry.inspect.getfile = lambda _: ingest.__file__
entry.stage_main(run)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    folder = store(root).folder
    assert re.fullmatch(
        rf"kshot: error: the disk of \S*{folder.relative_to(root)} is full at shard 7 of \d+; free some space and run "
        "again, finished shards stay\n",
        ended.stderr,
    )
    assert len(list(folder.glob("*.npy"))) == 6 and not any(path.is_symlink() for path in folder.iterdir())


def test_unreadable_files_of_a_finished_shard_are_listed_again(root: Path) -> None:
    (root / layout.RAW / "images/c001/0.png").write_text("no image")
    found = pack(root)
    decoded = images_module.decoded
    try:
        images_module.decoded = None  # type: ignore[assignment]  # every shard is found again
        assert pack(root) == found
    finally:
        images_module.decoded = decoded
    assert b"images/c001/0.png,c001,it is no image that can be read" in found["unreadable.csv"]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every image that is decoded."""
    found: list[object] = []
    decode_one = images_module.decoded
    monkeypatch.setattr(images_module, "decoded", lambda *asked: (found.append(asked[0]), decode_one(*asked))[1])
    return found


@pytest.mark.parametrize("store", ["pixels", "jpeg"])
def test_an_ingest_of_new_data_decodes_new_and_changed_images_alone(
    tmp_path: Path, decoded: list[object], store: str
) -> None:
    root = raw_project.make(tmp_path / "project")
    write_raw(root, CLASSES)
    asked = settings(ingest={**SMALL["ingest"], "store": store})
    sizes = SIZES if store == "pixels" else ShardSizes(8 * 6, 32 * 6)
    ingest.run(root, asked, sizes)
    assert len(decoded) == 200
    save(root, "ingest", layout.PACKED)
    write_raw(root, {"c025-new": 4, "c049": 5})
    images = root / layout.RAW / "images"
    shutil.copy(images / "c000/0.png", images / "c030/1.png")  # the same name, and the content of another shard's image
    (images / "c040/2.png").write_bytes(raw_project.image("changed"))
    (images / "c010").rename(images / "c010-renamed")
    write_manifest(root)
    decoded.clear()
    ingest.run(root, asked, sizes)
    found = files_below(root / layout.PACKED)
    assert len(decoded) == 4 + 1 + 1 + 1  # the copy too: of an unchanged shard no row is looked up
    forget_all(root)
    ingest.run(root, asked, sizes)
    assert found == files_below(root / layout.PACKED)
    assert len(decoded) == 7 + 205


def test_a_shard_that_was_changed_in_the_cache_is_packed_again_and_the_output_is_no_link_to_it(
    tmp_path: Path, decoded: list[object]
) -> None:
    root = raw_project.make(tmp_path / "project")
    write_raw(root, CLASSES)
    expected = pack(root)
    save(root, "ingest", layout.PACKED)
    decoded.clear()
    assert pack(root) == expected and not decoded
    flipped = store(root).find(read_table(root / layout.PACKED)[0])
    assert flipped is not None and flipped.stat().st_nlink == 1
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    assert pack(root) == expected and 4 <= len(decoded) <= 32
