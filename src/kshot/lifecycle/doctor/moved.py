"""Mends a project that was moved or copied: MLflow stores the locations of its artifacts as absolute paths.

The location of new runs is always changed to this project. An existing record is changed only if its files are here:
an older kshot may have left the files of a copy's own runs in the original.
"""

import sqlite3
import time
import urllib.parse
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from kshot.errors import RegistryError
from kshot.lifecycle.doctor.files import unreadable
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.history import anchor_ref
from kshot.lifecycle.project import project_lock
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.own_database import artifacts_of, read_only

CHECK = "mlruns"
# Columns in which MLflow 3 stores locations. kshot.root, where a run ran, is not changed: it is a true record.
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
ALWAYS = "experiments"  # where new runs write; the other tables name existing files
BACKUP = "mlflow.before-mend"


def findings(root: Path) -> list[Finding]:
    """Find records in the project's own database whose artifacts are, according to them, below another folder."""
    database = root / store.DATABASE
    if not database.exists() or unreadable(database):
        return []  # an unreadable one is reported by the check of files
    here = (root / store.ARTIFACTS).resolve()
    with read_only(database) as connection:
        elsewhere = [place for place in _places(connection) if place.below != here]
    found = []
    for old in dict.fromkeys(place.below for place in elsewhere):
        ours = [one for one in elsewhere if one.below == old and (one.goes_to(here) or not here.is_dir())]
        found += [_finding(root, old, len(ours))] if ours else []
        left = sum(place.below == old for place in elsewhere) - len(ours)
        found += [_left_behind(old, left)] if left else []
    return found


def _finding(root: Path, old: Path, count: int) -> Finding:
    here = root / store.ARTIFACTS
    found = f"{count:,} places of artifacts in {store.DATABASE} lie below {old}, and this project's below {here}"
    if not here.is_dir():
        return Finding(CHECK, f"{found}, which is not there", "the artifacts", f"copy them from {old}")
    # The original of a copied project may still exist: the copy then loads and writes the original's files.
    how = "its own places, or its models cannot be loaded" if not old.exists() else "its own places, not another's"
    return Finding(CHECK, found, how, "kshot doctor --mend", by_itself=lambda: rewrite(root, old))


def _left_behind(old: Path, count: int) -> Finding:
    found = f"{count:,} records name files that lie below {old} and not in this project"
    return Finding(CHECK, found, "the files here too", f"copy what is missing from {old}, then again", must=False)


def rewrite(root: Path, old: Path) -> str:
    """Replace `old` by this project's location in every record whose files are here, all or none. Returns a description
    with the backup's name. A location whose files are only below `old` is not changed, so that they are still found.

    Raises Busy while another command works, and RegistryError if the database cannot be written.
    """
    database, here = root / store.DATABASE, (root / store.ARTIFACTS).resolve()
    backup = database.with_name(f"{BACKUP}-{time.strftime('%Y%m%dT%H%M%S')}.db")
    try:
        with (
            project_lock.hold(root, "kshot doctor --mend"),
            closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as connection,
        ):
            connection.execute("begin immediate")  # nobody writes between the copy and the change
            with closing(sqlite3.connect(database, timeout=10)) as reader, closing(sqlite3.connect(backup)) as copy:
                reader.backup(copy)
            places = [place for place in _places(connection) if place.below == old]
            ours = [place for place in places if place.goes_to(here)]
            for place in ours:
                connection.execute(
                    f"update {place.table} set {place.column} = ? where rowid = ?", (place.moved_to(here), place.row)
                )
            connection.execute("commit")
    except sqlite3.Error as error:
        raise RegistryError(f"{database} could not be changed: {error}; nothing of it was, try again") from error
    anchor_ref.copy_from(root, old.parents[1])
    left = len(places) - len(ours)
    also = f"; {left:,} stay, because their files are only there" if left else ""
    text = f"{len(ours):,} places below {old} are now below {here}{also}"
    return f"{text}; the database before is {backup.relative_to(root)}"


class Place(NamedTuple):
    """One address in the database: its table, column and row; and the folder mlruns/artifacts that contains it."""

    table: str
    column: str
    row: int
    address: str
    below: Path

    def moved_to(self, here: Path) -> str:
        """The same address below `here`."""
        if self.address.startswith("file:"):
            return here.as_uri() + self.address.removeprefix(self.below.as_uri())
        return str(here) + self.address.removeprefix(str(self.below))

    def goes_to(self, here: Path) -> bool:
        """Whether it belongs below `here`: new files are written there, or existing ones are there, or nowhere."""
        new = _path(self.moved_to(here))
        return self.table == ALWAYS or new.exists() or not _path(self.address).exists()


def _places(connection: sqlite3.Connection) -> list[Place]:
    """Every local address below the artifacts of a kshot project."""
    return [
        Place(table, column, row, str(address), below)
        for table, column in _columns(connection)
        for row, address in connection.execute(f"select rowid, {column} from {table} where {column} is not null")
        for below in artifacts_of(str(address))
    ]


def _path(address: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path) if address.startswith("file:") else address)


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The COLUMNS that this database has: an older MLflow has fewer."""
    return [
        (table, column)
        for table, column in COLUMNS
        if any(row[1] == column for row in connection.execute(f"pragma table_info({table})"))
    ]
