"""Folders of images become classes; a level named train, val or test is not part of a class's name."""

from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.estimator.class_folders import read_class_folders


def place(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_each_folder_of_images_is_a_class_named_by_its_path(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "Greek/alpha/2.png", "Greek/alpha/1.PNG", "b/1.jpeg"))
    assert {name: [path.name for path in paths] for name, paths in found.files.items()} == {
        "Greek/alpha": ["1.PNG", "2.png"],
        "b": ["1.jpeg"],
    }
    assert (found.splits, found.left_out) == ({}, [])


def test_folders_of_splits_keep_their_classes_apart(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "training/a/1.png", "Val/b/1.png", "test/c/1.png"))
    assert list(found.files) == ["b", "a", "c"] or sorted(found.files) == ["a", "b", "c"]
    assert found.splits == {"a": "train", "b": "val", "c": "test"}


def test_a_class_in_several_splits_has_all_its_images_and_no_split(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png"))
    assert {name: len(paths) for name, paths in found.files.items()} == {"a": 2, "b": 2}
    assert found.splits == {}


def test_classes_named_like_splits_are_classes(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "train/1.png", "bus/1.png"))
    assert sorted(found.files) == ["bus", "train"]


def test_other_files_are_listed_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "a/1.png", "a/notes.txt", "loose.png", "a/.DS_Store", ".git/x.png"))
    assert [path.relative_to(tmp_path).as_posix() for path in found.left_out] == ["loose.png", "a/notes.txt"]
    assert list(found.files) == ["a"]


def test_a_linked_class_is_read_and_a_loop_ends(tmp_path: Path) -> None:
    place(tmp_path / "elsewhere", "1.png")
    place(tmp_path / "data", "a/1.png")
    (tmp_path / "data/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/a/loop").symlink_to(tmp_path / "data")
    assert sorted(read_class_folders(tmp_path / "data").files) == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no file and no image in a class folder; needs folder/CLASS/image.png"),
        (("1.png", "2.png"), "holds 2 files and no image in a class folder"),
        (("a/notes.txt",), "holds 1 file and no image in a class folder"),
    ],
)
def test_a_folder_without_classes_is_told(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_class_folders(place(tmp_path, *names))


def test_a_missing_folder_and_a_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone is missing; needs a folder with one folder of images a class"):
        read_class_folders(tmp_path / "gone")
    with pytest.raises(DataError, match="a.zip is a file; needs a folder"):
        read_class_folders(place(tmp_path, "a.zip") / "a.zip")
