"""Folders named train, val, test: a split if their classes differ, else parts of the same classes."""

from pathlib import Path

import pytest

from kshot.data.folders.split_folders import without_split_folders
from kshot.errors import DataError


def folders(text: str) -> list[Path]:
    return [Path(name) for name in text.split()]


@pytest.mark.parametrize("text", ["a b", "Greek/a Greek/b", "bus car train", "vehicles/train vehicles/bus"])
def test_other_folders_are_classes(text: str) -> None:
    assert without_split_folders(folders(text)) is None


def test_different_classes_keep_the_split_of_their_folders() -> None:
    found = without_split_folders(folders("Training/a Training/b/c Validation/d TEST/e"))
    assert found is not None
    assert found.splits == {"a": "train", "b/c": "train", "d": "val", "e": "test"}
    assert found.label(Path("TEST/e")) == "e"
    assert "(2 train, 1 val, 1 test)" in found.note


@pytest.mark.parametrize(
    "text",
    ["train/a train/b test/a test/b", "train/a train/b test/a", "a/train a/test b/train b/test", "x/train/a x/test/a"],
)
def test_the_same_classes_are_put_together_without_a_split(text: str) -> None:
    found = without_split_folders(folders(text))
    assert found is not None
    assert found.splits == {}
    assert len({found.label(folder) for folder in folders(text)}) < len(folders(text))
    assert "put together" in found.note


def test_classes_that_overlap_in_part_are_a_question() -> None:
    text = "train/a train/b val/c test/b test/d"
    with pytest.raises(DataError, match="1 of 4 classes, such as 'b', .* in one folder, or .* with --merge"):
        without_split_folders(folders(text))
    merged = without_split_folders(folders(text), merge=True)
    assert merged is not None
    assert merged.splits == {}


def test_one_split_alone_is_no_part_of_the_names() -> None:
    found = without_split_folders(folders("train/a train/b"))
    assert found is not None
    assert (found.splits, found.label(Path("train/a"))) == ({}, "a")


def test_classes_beside_the_splits_are_refused() -> None:
    with pytest.raises(DataError, match="named like splits lie next to 'extra'"):
        without_split_folders(folders("train/a test/b extra/c"))


@pytest.mark.parametrize("text", ["test train", "test train/a train/b", "x/test x/train/a x/train/b"])
def test_images_of_no_class_in_a_splits_folder_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="test/ is named like a split and holds images of no class"):
        without_split_folders(folders(text))
