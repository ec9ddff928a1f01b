"""The tables that further databases of MLflow get by a copy are those that MLflow makes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from tests.conftest import make_tables_once


def lines(statements: list[str]) -> list[str]:
    """The lines of all statements, sorted: the order of a table's constraints differs from one making to the next."""
    return sorted(line.strip().rstrip(",") for line in "\n".join(statements).splitlines())


def test_a_copied_database_is_the_one_that_mlflow_makes(tmp_path: Path) -> None:
    from mlflow.store.db import utils

    make_tables_once()
    initialize: Any = utils._initialize_tables
    found = []
    for name, make in (("first", initialize), ("copied", initialize), ("made", initialize.__wrapped__)):
        file = tmp_path / f"{name}.db"
        engine = create_engine(f"sqlite:///{file}")
        make(engine)
        utils._verify_schema(engine)
        engine.dispose()
        with closing(sqlite3.connect(file)) as database:
            found.append(sorted(database.iterdump()))
    first, copied, made = found
    assert copied == first
    assert lines(made) == lines(first)
    assert any("experiments" in statement.partition("(")[0] for statement in first)
