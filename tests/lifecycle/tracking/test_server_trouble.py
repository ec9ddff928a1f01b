"""A stopped database server that MLflow uses directly is reported in one line, also in the middle of a command."""

import time
from pathlib import Path

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException

from kshot.errors import RegistryError
from kshot.lifecycle.tracking import server_trouble, store
from tests.lifecycle import finished_project
from tests.services.processes import free_port

WHERE = "postgresql://kshot:secret@db.example.org/mlflow"
LOST = [
    "(psycopg2.OperationalError) server closed the connection unexpectedly\n\tThis probably means the server ended\n"
    "[SQL: SELECT experiments.name]\n(Background on this error at: https://sqlalche.me/e/20/e3q8)",
    "(psycopg2.errors.AdminShutdown) terminating connection due to administrator command [SQL: INSERT INTO params]",
    "(pymysql.err.InterfaceError) (0, '')",
]


def test_a_server_that_does_not_answer_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = f"postgresql://kshot:secret@127.0.0.1:{free_port()}/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", where)
    began = time.monotonic()
    with pytest.raises(store.Unreachable, match=r"did not answer \(connection to server .*; start it") as caught:
        store.connect(finished_project.write(tmp_path))
    assert time.monotonic() - began < 15, "MLflow alone tries for nearly two minutes"
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", LOST)
def test_a_connection_that_is_lost_says_to_start_the_server_and_repeat(text: str) -> None:
    with pytest.raises(store.Unreachable) as caught, store.translated_errors(WHERE):
        raise MlflowException(text)
    said = str(caught.value)
    assert said.startswith("MLflow's database postgresql://***@db.example.org/mlflow did not answer (")
    assert said.endswith("; start it, or check MLFLOW_TRACKING_URI, then run the same command again")
    assert not any(word in said for word in ("SQL:", "Background", "copy", "damaged", "\n", "psycopg2"))


def test_a_full_disk_of_the_server_is_no_lost_connection() -> None:
    text = "(psycopg2.errors.DiskFull) (OperationalError) could not extend file: No space left on device"
    assert not server_trouble.is_lost(text)
    with pytest.raises(RegistryError, match="cannot be written: the disk is full"), store.translated_errors(WHERE):
        raise sqlalchemy.exc.OperationalError("INSERT", {}, Exception(text))
