"""The files below a folder: links are followed, a loop is an error, system files are set apart."""

import os
from pathlib import Path

import pytest

from kshot.data.folders.system_files import written_by
from kshot.errors import DataError
from kshot.lifecycle.sources import tree
from kshot.lifecycle.sources.tree import walk


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    outside = touch(tmp_path / "outside", "a/1", "b/2")
    folder = touch(tmp_path / "here", "c/3")
    (folder / "a").symlink_to(outside / "a")
    (folder / "c" / "2").symlink_to(outside / "b" / "2")
    found = walk(folder)
    assert [path.as_posix() for path in found.files] == ["a/1", "c/2", "c/3"]
    assert [path.as_posix() for path in found.leaves] == ["a", "c"]
    assert found.left_out == []


@pytest.mark.parametrize("target", [".", "..", "up"])
def test_a_loop_of_links_is_an_error(tmp_path: Path, target: str) -> None:
    folder = touch(tmp_path / "here", "a/1")
    (folder / "a" / "up").symlink_to(target)
    with pytest.raises(DataError, match="/a/up is a link .*loop.*; remove"):
        walk(folder)


def test_two_links_to_one_folder_are_no_loop(tmp_path: Path) -> None:
    folder = touch(tmp_path / "here", "a/1")
    (folder / "b").symlink_to("a")
    assert [path.as_posix() for path in walk(folder).files] == ["a/1", "b/1"]


def test_what_is_no_file_is_left_out_and_never_opened(tmp_path: Path) -> None:
    folder = touch(tmp_path / "here", "a/1")
    os.mkfifo(folder / "a" / "pipe.png")
    (folder / "a" / "gone.png").symlink_to("nowhere.png")
    (folder / "class").symlink_to(tmp_path / "nowhere")
    found = walk(folder)
    assert {one.path.as_posix(): one.reason for one in found.left_out} == {
        "a/pipe.png": "no plain file (a device, a pipe or a socket)",
        "a/gone.png": "a link to nothing",
        "class": "a link to nothing",
    }
    assert [path.as_posix() for path in found.leaves] == ["a", "class"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("@eaDir", "thumbnails or snapshots of a NAS"),
        ("__MACOSX", "macOS's own files"),
        ("._photo.png", "macOS's own files"),
        ("Thumbs.db", "Windows's own files"),
        (".git", "hidden (a name that begins with a dot)"),
        ("photo.png", ""),
    ],
)
def test_a_systems_own_files_are_known_by_their_names(tmp_path: Path, name: str, owner: str) -> None:
    assert written_by(name) == owner
    found = walk(touch(tmp_path, "a/1", f"a/{name}/0.png"))
    if owner:
        assert [(one.path.as_posix(), one.counts) for one in found.left_out] == [(f"a/{name}/0.png", False)]
        assert [path.as_posix() for path in found.leaves] == ["a"]


def test_folders_without_end_and_files_without_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1", "b/c/2")
    monkeypatch.setattr(tree, "MOST_FILES", 1)
    with pytest.raises(DataError, match="holds over 1 files"):
        walk(tmp_path)
    monkeypatch.setattr(tree, "DEEPEST", 1)
    with pytest.raises(DataError, match="more than 1 folders deep"):
        walk(tmp_path / "b" / "..")
