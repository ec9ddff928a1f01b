"""What is said of the images of a new data version before they are laid out."""

import hashlib
from pathlib import Path

import pytest

from kshot.lifecycle.data import erasures
from kshot.lifecycle.data.changes import imported_images
from kshot.lifecycle.data.changes.imported_images import copies_note, erased_note
from kshot.lifecycle.sources.source_images import read_source
from tests.lifecycle.raw_project import image, write_tree


def test_copies_in_several_classes_are_named_and_copies_in_one_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(tmp_path / "birds", {"robin": 3, "wren": 2, "owl": 2})
    (folder / "robin/again.png").write_bytes(image("robin/0"))
    assert copies_note(read_source(folder, tmp_path / "unused").images) == ""
    (folder / "wren/7.png").write_bytes(image("robin/0"))
    (folder / "owl/8.png").write_bytes(image("robin/1"))
    images = read_source(folder, tmp_path / "unused").images
    assert copies_note(images) == (
        "2 images in several classes, such as owl/8.png, robin/1.png: kshot retrain will refuse this data; remove all "
        "but one of each"
    )
    (folder / "robin/large.png").write_bytes(image("large", height=99))
    read: list[Path] = []
    monkeypatch.setattr(imported_images, "file_md5", lambda file: read.append(file) or str(file))
    assert copies_note(read_source(folder, tmp_path / "unused").images) == ""
    assert folder / "robin/large.png" not in read


def test_images_that_were_erased_and_come_back_are_named_with_the_reason(tmp_path: Path) -> None:
    images = read_source(write_tree(tmp_path / "birds", {"robin": 3, "wren": 2}), tmp_path / "unused").images
    assert erased_note(tmp_path, images) == ""
    gone = hashlib.md5(image("robin/0")).hexdigest(), hashlib.md5(image("wren/1")).hexdigest(), "f" * 32
    erasures.note(tmp_path, erasures.Erasure("k", "2026-11-30T12:00:00+00:00", "Ada", "licence ended", gone, ("d",)))
    said = erased_note(tmp_path, images)
    assert said.startswith("2 erased images in the data again (erased by Ada, 2026-11-30: licence ended)")
