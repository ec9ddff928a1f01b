"""How the project's store is made."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from kshot.lifecycle.tracking import store
from tests.lifecycle import raw_project

OFF, FULL = 0, 2  # of sqlite's pragma synchronous


def test_only_while_it_is_made_a_database_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """Its 67 migrations are a thousand waits, of 5 ms each on a common disk."""
    found: dict[str, set[int]] = defaultdict(set)

    def look(connection: Any, cursor: Any, *_: object) -> None:
        execute = cursor.connection.execute
        (path,) = (path for _, name, path in execute("PRAGMA database_list") if name == "main")  # not the temporary one
        found[Path(path).name] |= {row[0] for row in execute("PRAGMA synchronous")}

    root = raw_project.make(tmp_path / "root")
    event.listen(Engine, "before_cursor_execute", look)
    try:
        store.connect(root)
    finally:
        event.remove(Engine, "before_cursor_execute", look)
    assert found == {"mlflow.new": {OFF}, "mlflow.db": {FULL}}
