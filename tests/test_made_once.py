"""What is made once a session is made by the first that asks, whole or not at all."""

from pathlib import Path

import pytest

from tests.made_once import beside_packages, made_once


def test_what_failed_half_made_is_made_again_and_what_was_made_is_not(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no room")

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "whole").touch()

    # Workers of pytest-xdist have folders beside each other.
    for worker in ("gw0", "gw1"):
        (tmp_path / worker).mkdir()
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setattr(tmp_path_factory, "getbasetemp", lambda: tmp_path / "gw0")
    with pytest.raises(OSError, match="no room"):
        made_once(tmp_path_factory, "example", fail)
    place = made_once(tmp_path_factory, "example", make)
    monkeypatch.setattr(tmp_path_factory, "getbasetemp", lambda: tmp_path / "gw1")
    assert made_once(tmp_path_factory, "example", make) == place
    assert made == [place] and [path.name for path in place.iterdir()] == ["whole"]


def test_what_lies_beside_the_packages_is_removed_when_its_session_is_gone(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for name in ("gone", "now"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tmp_path_factory, "getbasetemp", lambda name=name: tmp_path / name)
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
        made.append(beside_packages(tmp_path_factory, "example", tmp_path))
    (tmp_path / "gone").rmdir()
    beside_packages(tmp_path_factory, "another", tmp_path)
    assert [folder.exists() for folder in made] == [False, True]
    (made[1] / "half").touch()
    assert list(beside_packages(tmp_path_factory, "example", tmp_path).iterdir()) == []
