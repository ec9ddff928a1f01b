"""Only the owner can access the folder .kshot, whatever the umask."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kshot.lifecycle.project import layout, project_lock
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.project.no_telemetry import keep_prefect_in
from kshot.lifecycle.project.private_state import private_database, private_state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_new_folder_is_closed_whoever_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exclusive(tmp_path / "one", "mlflow"), project_lock.hold(tmp_path / "two", "a command"):
        pass
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    home = keep_prefect_in(tmp_path / "three")
    monkeypatch.delenv("PREFECT_HOME")
    assert [mode(tmp_path / name / layout.STATE) for name in ("one", "two", "three")] == [0o700] * 3
    assert mode(home / "prefect.db") == 0o600


def test_an_open_folder_of_an_older_version_is_closed_with_its_databases(tmp_path: Path) -> None:
    prefect = tmp_path / layout.STATE / "prefect"
    prefect.mkdir(parents=True)
    files = [prefect / "prefect.db", prefect / "prefect.db-wal", tmp_path / layout.STATE / "other.db"]
    for file in files:
        file.touch()
    private_state(tmp_path)
    assert mode(tmp_path / layout.STATE) == 0o700
    assert [mode(file) for file in files] == [0o600] * 3


def test_what_is_closed_further_stays_so(tmp_path: Path) -> None:
    (tmp_path / layout.STATE).mkdir(mode=0o500)
    private_state(tmp_path)
    assert mode(tmp_path / layout.STATE) == 0o500


def test_a_database_and_what_lies_beside_it_are_closed_from_the_start(tmp_path: Path) -> None:
    private_database(tmp_path / "prefect.db")
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("create table t (x)")
        database.commit()
        assert [mode(tmp_path / f"prefect.db{ending}") for ending in ("", "-wal", "-shm")] == [0o600] * 3
        private_database(tmp_path / "prefect.db")
        assert database.execute("select count(*) from t").fetchone() == (0,)
