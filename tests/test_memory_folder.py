"""The folder in memory that `make test` uses: there if there is room, none otherwise."""

from pathlib import Path

from tests.memory_folder import memory_folder


def test_a_folder_is_made_only_where_there_is_room(tmp_path: Path) -> None:
    folder = memory_folder(tmp_path, needed=0)
    assert folder is not None and folder.parent == tmp_path and list(folder.iterdir()) == []
    assert memory_folder(tmp_path, needed=1 << 60) is None
    assert memory_folder(tmp_path / "nowhere", needed=0) is None
