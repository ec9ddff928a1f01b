"""Whatever a block does to a folder is taken back, also what neither size nor time of a file shows."""

import os
import shutil
from pathlib import Path

import pytest

from tests.lifecycle.put_back import put_back
from tests.lifecycle.raw_project import files_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/one", "a/two", "b/three"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(name)
    (tmp_path / "folder/empty").mkdir()
    return tmp_path / "folder"


def change(folder: Path) -> None:
    """Change a file but neither its size nor its time; remove, replace and add others."""
    before = (folder / "a/one").stat()
    (folder / "a/one").write_text("a/ONE")
    os.utime(folder / "a/one", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "a/two").unlink()
    (folder / "a/two").mkdir()
    shutil.rmtree(folder / "b")
    (folder / "empty").rmdir()
    (folder / "empty").write_text("a file")
    (folder / "new/place").mkdir(parents=True)
    (folder / "new/place/four").touch()


def test_every_change_is_taken_back_each_time(folder: Path, tmp_path: Path) -> None:
    before, copies = files_below(folder), tmp_path / "copies"
    for _ in range(2):
        with put_back(folder, copies):
            change(folder)
        assert files_below(folder) == before and list((folder / "empty").iterdir()) == []
        assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "empty"]
    with put_back(folder, copies):
        shutil.rmtree(folder)
    assert files_below(folder) == before


def test_what_changed_between_two_blocks_stays(folder: Path, tmp_path: Path) -> None:
    with put_back(folder, tmp_path / "copies"):
        change(folder)
    (folder / "a/one").write_text("later")
    with put_back(folder, tmp_path / "copies"):
        change(folder)
    assert (folder / "a/one").read_text() == "later"


def test_a_block_within_a_block_has_copies_of_its_own(folder: Path, tmp_path: Path) -> None:
    with put_back(folder, tmp_path / "copies"):
        (folder / "a/one").write_text("outer")
        with pytest.raises(AssertionError, match="a block within the block"), put_back(folder, tmp_path / "copies"):
            pass
        with put_back(folder, tmp_path / "others"):
            change(folder)
        assert (folder / "a/one").read_text() == "outer"
    assert (folder / "a/one").read_text() == "a/one"
