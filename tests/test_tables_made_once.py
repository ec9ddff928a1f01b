"""The tables that further databases of MLflow get by a copy are those that MLflow makes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from tests.conftest import make_tables_once


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
    assert found[0] == found[1] == found[2]
    tables = [line.partition("(")[0] for line in found[0] if line.startswith("CREATE TABLE")]
    assert any("experiments" in name for name in tables)
