"""A project that was moved or copied: MLflow keeps the places of its artifacts as absolute paths."""

import contextlib
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from kshot.errors import RegistryError
from kshot.lifecycle import lock, store
from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding

CHECK = "mlruns"
# Where MLflow 3 keeps a place. What runs say of where they ran (kshot.root) stays: it is a record, and was true.
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
BELOW = f"/{store.ARTIFACTS.as_posix()}"
BACKUP = "mlflow.before-mend"


def look(root: Path) -> list[Finding]:
    """Records in the project's own database whose artifacts lie, as they say, below another folder."""
    database = root / store.DATABASE
    if not database.exists() or unreadable(database):
        return []  # the latter is told among the files
    here = (root / store.ARTIFACTS).resolve()
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        elsewhere = _elsewhere(connection, here)
    return [_finding(root, old, count) for old, count in elsewhere.items()]


def _finding(root: Path, old: Path, count: int) -> Finding:
    here = root / store.ARTIFACTS
    found = f"{count:,} places of artifacts in {store.DATABASE} lie below {old}, and this project's below {here}"
    if not here.is_dir():
        return Finding(CHECK, f"{found}, which is not there", "the artifacts", f"copy them from {old}")
    # Of a copied project the old place may still be there: it then loads, and writes, the other project's files.
    how = "its own places, or its models cannot be loaded" if not old.exists() else "its own places, not another's"
    return Finding(CHECK, found, how, "kshot doctor --mend", by_itself=lambda: rewrite(root, old))


def rewrite(root: Path, old: Path) -> str:
    """Write this project's place over `old` in every record, all or none; what was done, with the backup's name.

    Raises Busy while another command works, and RegistryError where the database cannot be written.
    """
    database, here = root / store.DATABASE, (root / store.ARTIFACTS).resolve()
    backup = database.with_name(f"{BACKUP}-{time.strftime('%Y%m%dT%H%M%S')}.db")
    try:
        with (
            lock.hold(root, "kshot doctor --mend"),
            closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as connection,
        ):
            connection.execute("begin immediate")  # nobody writes between the copy and the change
            with closing(sqlite3.connect(database, timeout=10)) as reader, closing(sqlite3.connect(backup)) as copy:
                reader.backup(copy)
            changed = sum(_replace(connection, table, column, old, here) for table, column in _columns(connection))
            connection.execute("commit")
    except sqlite3.Error as error:
        raise RegistryError(f"{database} could not be changed: {error}; nothing of it was, try again") from error
    return f"{changed:,} places below {old} are now below {here}; the database before is {backup.relative_to(root)}"


def _replace(connection: sqlite3.Connection, table: str, column: str, old: Path, here: Path) -> int:
    changed = 0
    for was, now in ((old.as_uri(), here.as_uri()), (str(old), str(here))):
        changed += connection.execute(
            f"update {table} set {column} = ? || substr({column}, ?) where {column} = ? or substr({column}, 1, ?) = ?",
            (now, len(was) + 1, was, len(was) + 1, f"{was}/"),
        ).rowcount
    return changed


def _elsewhere(connection: sqlite3.Connection, here: Path) -> dict[Path, int]:
    """Each other artifacts folder of a kshot project that records name, and how many do."""
    found: dict[Path, int] = {}
    for table, column in _columns(connection):
        for (value,) in connection.execute(f"select {column} from {table} where {column} is not null"):
            for place in _artifacts_of(str(value)):
                if place != here:
                    found[place] = found.get(place, 0) + 1
    return found


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those of COLUMNS that this database has: an older MLflow has fewer."""
    return [
        (table, column)
        for table, column in COLUMNS
        if any(row[1] == column for row in connection.execute(f"pragma table_info({table})"))
    ]


def _artifacts_of(address: str) -> Iterator[Path]:
    """The folder mlruns/artifacts that a local address lies in; nothing for buckets, servers and models:/ addresses."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path) if address.startswith("file:") else address
    if path.startswith("/") and BELOW in path:
        with contextlib.suppress(ValueError):
            yield Path(path[: path.index(BELOW)] + BELOW)
