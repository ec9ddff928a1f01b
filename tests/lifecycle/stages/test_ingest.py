"""Stage ingest: rows match pixels, and unreadable files are set aside."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kshot.data.images import content_hash, decode, prepare
from kshot.errors import DataError
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest
from tests.lifecycle.raw_project import REPOSITORY, SMALL, settings, write_manifest, write_raw

CLASSES = {"Ελληνικά/άλφα": 3, "two words": 2}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_raw(tmp_path, CLASSES, {"two words": "test"})
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("crop", ["none", "ink"])
def test_row_i_describes_the_pixels_i(root: Path, channels: int, invert: bool, crop: str) -> None:
    asked = settings(ingest={"size": 8, "channels": channels, "invert": invert, "crop": crop})
    ingest.run(root, asked)
    manifest, images = read_manifest(root), read_images(root)
    assert images.shape == (5, 8, 8, channels)
    assert images.dtype == np.uint8
    assert manifest["path"].tolist() == sorted(manifest["path"])
    for row, packed in zip(manifest.to_dict("records"), images, strict=True):
        pixels = decode(root / layout.RAW / row["path"], channels)
        assert (prepare(pixels, asked.ingest) == packed).all()
        assert row["content"] == content_hash(pixels)
        assert (row["width"], row["height"]) == (10, 12)


def test_the_manifest_keeps_class_group_and_split(root: Path) -> None:
    ingest.run(root, settings(**SMALL))
    manifest = read_manifest(root)
    assert manifest.columns.tolist() == ["path", "class", "group", "split", "content", "width", "height"]
    rows = manifest[["class", "group", "split"]].drop_duplicates().itertuples(index=False)
    assert {tuple(row) for row in rows} == {("Ελληνικά/άλφα", "Ελληνικά", ""), ("two words", "", "test")}


def test_what_cannot_be_read_is_listed_and_left_out(root: Path) -> None:
    folder = root / layout.RAW / "images" / "two words"
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:-40])
    (folder / "empty.png").write_bytes(b"")
    write_manifest(root)
    ingest.run(root, settings(**SMALL))
    lost = pd.read_csv(root / layout.PACKED / "unreadable.csv").set_index("path")
    assert lost["class"].tolist() == ["two words"] * 3
    assert "empty" in str(lost.loc["images/two words/empty.png", "reason"])
    assert "no image" in str(lost.loc["images/two words/text.png", "reason"])
    assert "cannot be decoded" in str(lost.loc["images/two words/cut.png", "reason"])
    assert len(read_manifest(root)) == len(read_images(root)) == 5


def test_a_data_set_without_one_readable_image_is_refused(tmp_path: Path) -> None:
    folder = write_raw(tmp_path, {"a": 1})
    (folder / "a" / "0.png").write_text("no image")
    with pytest.raises(DataError, match="none of the 1 files can be read as an image, the first images/a/0.png: it is"):
        ingest.run(tmp_path, settings(**SMALL))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read .*; add data with `kshot data add SOURCE`"),
        ("", "cannot be read"),
        ("path,class\nx,y\n", "lacks the column group"),
    ],
)
def test_a_manifest_that_is_missing_or_damaged_is_told(tmp_path: Path, text: str | None, told: str) -> None:
    (tmp_path / layout.RAW).mkdir(parents=True)
    if text is not None:
        (tmp_path / layout.RAW / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        ingest.run(tmp_path, settings(**SMALL))


def test_the_same_data_packs_to_the_same_bytes(root: Path) -> None:
    found = []
    for _ in range(2):
        ingest.run(root, settings(**SMALL))
        found.append([path.read_bytes() for path in sorted((root / layout.PACKED).iterdir())])
    assert found[0] == found[1]


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Ten times as many images of 3 MB each, decoded, take less than one of them more."""
    peaks = []
    for count in (20, 200):
        root = tmp_path / str(count)
        folder = root / layout.RAW / "images" / "a"
        folder.mkdir(parents=True)
        Image.new("RGB", (1000, 1000), "red").save(folder / "0.png")
        for number in range(1, count):
            os.link(folder / "0.png", folder / f"{number}.png")
        write_manifest(root)
        (root / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        code = (
            "import resource; from pathlib import Path; from kshot.lifecycle.stages import ingest; "
            "from kshot.params.schema import load_params; ingest.run(Path('.'), load_params(Path('params.yaml'))); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        ended = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
        peaks.append(int(ended.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024))
    assert peaks[1] - peaks[0] < 20e6, peaks
