"""An unusable database is reported in one line without SQL, and no remedy loses an intact one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from kshot import cli, full_disk
from kshot.errors import RegistryError
from kshot.lifecycle.tracking import live_run, sqlite_trouble, store
from tests.lifecycle import finished_project

WHERE = "sqlite:////somewhere/project/mlruns/mlflow.db"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlruns/mlflow.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table experiments (name text)")
    return path


def test_a_database_that_can_only_be_read_is_one_line(database: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")
    where = f"sqlite:///{database}"
    with pytest.raises(RegistryError) as caught, store.translated_errors(where), engine.begin() as connection:
        connection.execute(sqlalchemy.text("insert into experiments values ('{\"a long event\": 1}')"))
    engine.dispose()
    assert str(caught.value) == "mlruns/mlflow.db cannot be written (it can only be read); nothing was changed"


def test_a_locked_one_says_who_may_hold_it_and_to_try_again(database: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", connect_args={"timeout": 0.1})
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("begin exclusive")
        where = f"sqlite:///{database}"
        with pytest.raises(RegistryError) as caught, store.translated_errors(where), engine.begin() as connection:
            connection.execute(sqlalchemy.text("insert into experiments values ('x')"))
    engine.dispose()
    assert str(caught.value).startswith("mlruns/mlflow.db is in use by another process; run the same")


@pytest.mark.parametrize(
    "said",
    [
        "(sqlite3.OperationalError) database is locked\n[SQL: INSERT INTO params ...]\n[parameters: (1, '{...}')]",
        "(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: INSERT INTO params VALUES (?)]",
        "(sqlite3.OperationalError) database or disk is full [SQL: INSERT INTO params VALUES (?)]",
        "Detected out-of-date database schema (found version a, but expected b)",
        "(sqlite3.OperationalError) something else [SQL: SELECT 1] (Background on this error at: https://sqlalche.me/)",
    ],
)
def test_no_message_shows_sql_or_advises_to_move_the_records_away(said: str) -> None:
    told = sqlite_trouble.sentence(WHERE, said, 75.0)
    assert not any(word in told for word in ("SQL", "parameters", "Background", "INSERT", "move it away", "\n"))
    assert len(told) < 400


def test_a_file_system_that_can_only_be_read_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mounted:
        f_flag = 1

    monkeypatch.setattr("os.statvfs", lambda _: Mounted)
    told = sqlite_trouble.sentence(f"sqlite:///{database}", "attempt to write a readonly database", 0.0)
    assert told == "mlruns/mlflow.db cannot be written (read-only file system); nothing was changed"


def test_a_file_that_a_full_disk_cannot_make_is_not_called_read_only(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, where = "unable to open database file", f"sqlite:///{database}"
    assert "it can only be read" in sqlite_trouble.sentence(where, said, 0.0)
    monkeypatch.setattr(full_disk, "no_room", lambda folder: folder == database.parent)
    told = sqlite_trouble.sentence(where, said, 0.0)
    assert told == (
        "mlruns/mlflow.db cannot be written: the disk is full; free some space and run the same command again"
    )


@pytest.fixture
def read_only_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a project's store in which every write fails, as in a database that can only be read."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    where = store.connect(finished_project.write(tmp_path))

    def refuse_writes(connection: Any, record: Any, proxy: Any) -> None:
        connection.execute("pragma query_only = on")

    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkout", refuse_writes)
    yield where
    sqlalchemy.event.remove(sqlalchemy.pool.Pool, "checkout", refuse_writes)


def test_a_refused_write_prints_nothing_but_the_one_line(
    read_only_store: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = pytest.raises(RegistryError, match="mlruns/mlflow.db cannot be written")
    with refused, store.translated_errors(read_only_store):
        store.client().create_run("0", tags={"event": "a long event"})
    out, err = capfd.readouterr()
    assert (out, err) == ("", ""), "MLflow logs SQL, its parameters and a traceback"


def test_a_training_does_not_begin_where_its_run_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = finished_project.write(tmp_path)
    with live_run.live_run(root):
        pass
    mlruns = (root / "mlruns").resolve()
    monkeypatch.setattr("os.access", lambda path, mode, **_: mode != os.W_OK or Path(path) != mlruns / "mlflow.db")
    refused = pytest.raises(RegistryError, match="^mlruns/mlflow.db cannot be written .*; nothing was changed$")
    with refused, live_run.live_run(root):
        pytest.fail("hours of training")
    monkeypatch.chdir(root)
    before = (root / "params.yaml").read_bytes()
    assert cli.main(["retrain", "--set", "train.seed=5"]) == RegistryError.exit_code
    assert (root / "params.yaml").read_bytes() == before, "nothing was changed"


@pytest.mark.parametrize("verb", [["retrain"], ["sweep", "sweep.yaml"]], ids=["retrain", "sweep"])
def test_a_database_in_use_at_the_start_is_one_line_and_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = finished_project.write(tmp_path)
    store.connect(root)
    monkeypatch.chdir(root)
    connect = sqlite3.connect
    monkeypatch.setattr("sqlite3.connect", lambda *names, **options: connect(*names, **{**options, "timeout": 0.1}))
    with closing(connect(root / store.DATABASE, isolation_level=None)) as other:
        other.execute("begin exclusive")
        assert cli.main(verb) == RegistryError.exit_code
    assert "kshot: error: mlruns/mlflow.db is in use by another process" in capsys.readouterr().err
