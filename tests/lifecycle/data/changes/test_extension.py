"""`kshot data add --extend`: the new version has the images of the former one and those of the source."""

import csv
from pathlib import Path
from typing import Any

import pytest

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.project import layout
from tests.lifecycle.raw_project import files_below, image, make, write_tree, write_zip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = make(tmp_path / "root")
    add_version.add(made, str(write_tree(tmp_path / "birds", {"robin": 2, "wren": 1})))
    return made


def extend(root: Path, source: Path, **options: Any) -> tuple[data_versions.DataVersion, str]:
    said: list[str] = []
    given = add_version.AddOptions(extend=True, **options)
    return add_version.add(root, str(source), given, said.append), "\n".join(said)


def manifest(root: Path) -> dict[str, dict[str, str]]:
    with (root / layout.RAW / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_the_version_is_that_of_one_folder_with_all_images(root: Path, tmp_path: Path) -> None:
    before = data_versions.current(root)
    more = write_tree(tmp_path / "more", {"owl": 2})
    (more / "wren").mkdir()
    (more / "wren" / "9.png").write_bytes(image("another wren"))
    files = files_below(root / layout.RAW)
    grown, _ = extend(root, more)
    assert before is not None and (grown.base, grown.source) == (before.md5, "more")
    assert (grown.images, grown.classes) == (6, 3)
    now = files_below(root / layout.RAW)
    assert all(now[path] == content for path, content in files.items() if path != "manifest.csv")
    found = data_versions.diff(root, before, grown)
    assert found.classes_added == ("owl",) and not found.images_removed and len(found.images_added) == 3
    both = write_tree(tmp_path / "both", {"robin": 2, "wren": 1, "owl": 2})
    (both / "wren" / "9.png").write_bytes(image("another wren"))
    assert add_version.add(root, str(both)) == grown
    assert restore.checkout(root, before) and files_below(root / layout.RAW) == files


def test_an_image_that_is_there_counts_once(root: Path, tmp_path: Path) -> None:
    again = write_zip(tmp_path / "again.zip", {"wren/new.png": image("robin/0"), "wren/8.png": image("wren/8")})
    with pytest.raises(DataError, match=r"1 of 2 files is left out \(1 .png: in the data already, in another class\)"):
        extend(root, again)
    same = write_zip(tmp_path / "same.zip", {"robin/new.png": image("robin/0"), "robin/8.png": image("robin/8")})
    grown, said = extend(root, same)
    assert grown.images == 4 and "1 .png: in the data already" in said
    assert grown.left_out == ("1 .png: in the data already; robin/new.png",)
    assert extend(root, same)[0] == grown
    assert data_versions.current(root) == grown


def test_two_files_of_one_name_are_both_kept(root: Path, tmp_path: Path) -> None:
    other = write_zip(tmp_path / "other.zip", {"robin/0.png": image("another robin")})
    extend(root, other)
    now = files_below(root / layout.RAW)
    assert now["images/robin/0.png"] == image("robin/0")
    assert now["images/robin/0-2.png"] == image("another robin")


def test_a_class_keeps_its_group_and_split_and_a_new_one_is_trained_on(tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    source = write_tree(tmp_path / "birds", {"robin": 1, "wren": 1})
    table = source / "birds.csv"
    table.write_text("path,class,group,split\nrobin/0.png,robin,song,train\nwren/0.png,wren,song,test\n")
    add_version.add(root, str(table))
    more = write_zip(tmp_path / "more.zip", {"wren/1.png": image("wren/1"), "owl/1.png": image("owl/1")})
    _, said = extend(root, more)
    rows = manifest(root)
    assert (rows["images/wren/1.png"]["group"], rows["images/wren/1.png"]["split"]) == ("song", "test")
    assert rows["images/owl/1.png"]["split"] == "train" and "1 class without one (owl) joined train" in said
    places = tmp_path / "places.csv"
    places.write_text("class,split\njay,val\n")
    extend(root, write_tree(tmp_path / "jays", {"jay": 1}), split=places)
    assert {row["class"]: row["split"] for row in manifest(root).values()}["jay"] == "val"
    folders = write_tree(tmp_path / "folders", {"train/wren": 3, "val/rook": 1})
    with pytest.raises(DataError, match="class 'wren' is in split test of the data and in train of the source"):
        extend(root, folders)


def test_a_split_comes_with_all_classes_or_none(root: Path, tmp_path: Path) -> None:
    before = kept(root)
    folders = write_tree(tmp_path / "folders", {"train/owl": 1, "val/rook": 1})
    with pytest.raises(DataError, match="the source has a split of its own, and the data has none"):
        extend(root, folders)
    assert kept(root) == before


def test_a_stop_halfway_leaves_the_version_as_it_was(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept(root)
    real = working_copy.dvc

    def stopped(root: Path, *arguments: str) -> str:
        if arguments[0] == "add":
            raise KeyboardInterrupt
        return real(root, *arguments)

    monkeypatch.setattr(working_copy, "dvc", stopped)
    with pytest.raises(KeyboardInterrupt):
        extend(root, write_tree(tmp_path / "more", {"owl": 2}))
    assert kept(root) == before


def test_data_of_another_branch_is_not_extended(root: Path, tmp_path: Path) -> None:
    (root / layout.RAW / "images/robin/0.png").unlink()
    with pytest.raises(DataError, match="holds changes that are in no data version"):
        extend(root, write_tree(tmp_path / "more", {"owl": 2}))


def test_without_a_version_the_source_is_the_data(tmp_path: Path) -> None:
    grown, _ = extend(make(tmp_path / "root"), write_tree(tmp_path / "more", {"owl": 2, "jay": 1}))
    assert (grown.images, grown.base) == (3, "")


def kept(root: Path) -> dict[str, bytes]:
    return files_below(root / "data")
