"""Connecting asks MLflow for the experiment once a process, and finds one that is missing all the same."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.tracking import store
from tests.lifecycle import raw_project


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the experiments that MLflow is asked for."""
    names: list[str] = []
    experiment = store.experiment

    def counted(client: Any, root: Path, where: str, name: str) -> str:
        names.append(name)
        return experiment(client, root, where, name)

    monkeypatch.setattr(store, "experiment", counted)
    yield names


def test_mlflow_is_asked_once_and_again_when_the_experiment_is_gone(tmp_path: Path, asked: list[str]) -> None:
    root = raw_project.make(tmp_path / "root")
    for _ in range(3):
        store.connect(root)
    assert asked == ["kshot"]
    with closing(sqlite3.connect(root / store.DATABASE)) as database:
        database.execute("update experiments set name = 'renamed' where name = 'kshot'")
        database.commit()
    store.connect(root)
    assert asked == ["kshot", "kshot"] and store.client().get_experiment_by_name("kshot") is not None
