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


def test_masks_and_a_cover_beside_class_folders_are_left_out(tmp_path: Path) -> None:
    images = [f"g/{name}/{number}.png" for name in "ab" for number in range(2)]
    odd = ["g/a/masks/0.png", "g/a/masks/1.png", "g/cover.png"]
    found = read_class_folders(place(tmp_path, *images, *odd))
    assert sorted(found.files) == ["g/a", "g/b"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found.left_out) == odd


def test_images_of_the_same_classes_are_put_together_and_those_of_test_never_used(tmp_path: Path) -> None:
    names = [f"{split}/{name}/{split}.png" for split in ("train", "val", "test") for name in "ab"]
    found = read_class_folders(place(tmp_path, *names))
    assert {name: [path.name for path in paths] for name, paths in found.files.items()} == {
        "a": ["train.png", "val.png"],
        "b": ["train.png", "val.png"],
    }
    assert found.splits == {}
    assert "a class's images in train/ and val/ are put together, and test/ is not used (2 images)" in found.note


@pytest.mark.parametrize(
    "names", [("train/a/1.png", "train/b/1.png", "test/a/2.png"), ("a/train/1.png", "a/test/2.png")]
)
def test_test_images_of_training_classes_are_not_used(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = read_class_folders(place(tmp_path, *names))
    assert [path.name for paths in found.files.values() for path in paths] == ["1.png"] * (len(names) - 1)
    assert found.note.endswith("test/ is not used (1 image)")


def test_classes_that_overlap_in_part_and_a_test_folder_alone_are_refused(tmp_path: Path) -> None:
    place(tmp_path / "part", "train/a/1.png", "train/b/1.png", "test/b/1.png", "test/c/1.png")
    with pytest.raises(
        DataError, match="1 of 3 classes, such as 'b', .* in one folder, or give the folder train/ alone"
    ):
        read_class_folders(tmp_path / "part")
    with pytest.raises(DataError, match="has a folder test/ and no train/; needs train/ next to it"):
        read_class_folders(place(tmp_path / "alone", "test/a/1.png", "test/b/1.png"))


def test_images_directly_in_a_splits_folder_are_left_out_and_the_splits_stay(tmp_path: Path) -> None:
    found = read_class_folders(place(tmp_path, "train/cover0.png", "train/a/1.png", "val/e/1.png", "test/g/1.png"))
    assert found.splits == {"a": "train", "e": "val", "g": "test"} and set(found.files) == set("aeg")
    assert found.left_out == [tmp_path / "train/cover0.png"]


def test_thumbnails_of_a_nas_are_no_classes(tmp_path: Path) -> None:
    found = read_class_folders(
        place(tmp_path, "a/0.jpg", "a/@eaDir/0.jpg/SYNOFILE_THUMB_M.jpg", "b/0.jpg", "b/Thumbs.db")
    )
    assert {name: len(paths) for name, paths in found.files.items()} == {"a": 1, "b": 1}


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
