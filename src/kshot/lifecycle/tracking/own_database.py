"""Checks the project's own MLflow database before any write: it is intact, the same as before, and of this folder.

mlruns/history.json names the run that stores the promotion history. An empty or missing database next to it is
not mistaken for a new registry.
"""

import contextlib
import json
import os
import sqlite3
import struct
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from kshot.errors import RegistryError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

DATABASE = layout.MLRUNS / "mlflow.db"
ARTIFACTS = layout.MLRUNS / "artifacts"
REMEMBERED = layout.MLRUNS / "history.json"
BELOW = f"/{ARTIFACTS.as_posix()}"
COPY = "bring it back from a copy"
NEW = f"to start without the records, move the folder {layout.MLRUNS} away"


def read_only(path: Path, timeout: float = 10) -> closing[sqlite3.Connection]:
    """A connection that can write nothing; `timeout`: seconds to wait for a writer. Raises sqlite3.Error."""
    return closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=timeout))


def require_sound(root: Path) -> frozenset[str] | None:
    """The names of the database's experiments, deleted ones too; None if there is no database.

    Raises RegistryError, with a remedy, for a database that kshot must not write to.
    """
    path, run = root / DATABASE, _remembered(root)
    if not path.exists():
        if run:
            raise RegistryError(
                f"{DATABASE} is gone, and this project had a history of promotions (run {run[:8]}); {COPY}, or {NEW}"
            )
        return None
    with _undamaged(path) as database:
        if run and not database.execute("select 1 from runs where run_uuid = ?", (run,)).fetchone():
            raise RegistryError(
                f"{DATABASE} is not the one that this project had: it lacks the history of promotions (run {run[:8]}); "
                f"{COPY}, or, if the history shall be lost, delete {REMEMBERED}"
            )
        locations = _locations(database)
    _require_place(root, _places(locations.values()))
    return frozenset(locations)


@contextlib.contextmanager
def _undamaged(path: Path) -> Iterator[sqlite3.Connection]:
    """One connection for the check and for what is read then: opening one takes longer than reading.

    Raises RegistryError for a damaged file, on which MLflow would retry for over a minute.
    """
    what = _cut_off(path)
    if not what:
        with read_only(path) as database:
            what = _missing_table(database)
            if not what:
                yield database
                return
    raise RegistryError(f"{DATABASE} {what}; {COPY}, or {NEW}")


def require_place(root: Path) -> None:
    """Raise RegistryError, before anything is written, if the project's records were copied or moved with it."""
    path = root / DATABASE
    if "MLFLOW_TRACKING_URI" in os.environ or not path.exists() or damage(path):
        return  # a damaged one is reported when it is opened
    with read_only(path) as database:
        locations = _locations(database)
    _require_place(root, _places(locations.values()))


def damage(path: Path) -> str:
    """Why a file cannot be MLflow's database ('' if it can), without reading all of it."""
    if what := _cut_off(path):
        return what
    with read_only(path) as database:
        return _missing_table(database)


def _cut_off(path: Path) -> str:
    """Why a file cannot be a whole sqlite database, by its size and first bytes; '' if it can."""
    size = path.stat().st_size
    if size == 0:
        return "is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        return "is damaged: it is no sqlite database"
    page, pages = struct.unpack(">H", head[16:18])[0], struct.unpack(">I", head[28:32])[0]
    wanted = (65536 if page == 1 else page) * pages
    if head[24:28] == head[92:96] and size < wanted:  # the page count is valid only if these are equal
        return f"is cut off: it has {size:,} of {wanted:,} bytes"
    return ""


def _missing_table(database: sqlite3.Connection) -> str:
    tables = {row[0] for row in database.execute("select name from sqlite_master")}
    missing = {"experiments", "runs", "registered_models"} - tables
    return f"is not MLflow's database: it lacks the table {min(missing)}" if missing else ""


def remember(root: Path, run_id: str) -> None:
    """Record the run that stores the history, if the project has its own database and no server is named."""
    own = "MLFLOW_TRACKING_URI" not in os.environ and (root / DATABASE).exists()
    if own and run_id and _remembered(root) != run_id:
        write_text(root / REMEMBERED, json.dumps({"run": run_id}) + "\n")


def artifacts_of(address: str) -> Iterator[Path]:
    """The folder mlruns/artifacts that contains a local address; none for buckets, servers and models:/ addresses."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path) if address.startswith("file:") else address
    if path.startswith("/") and BELOW in path:
        with contextlib.suppress(ValueError):
            yield Path(path[: path.index(BELOW)] + BELOW)


def _locations(database: sqlite3.Connection) -> dict[str, str | None]:
    """Where each experiment writes its artifacts, by its name."""
    return dict(database.execute("select name, artifact_location from experiments"))


def _places(locations: Iterable[str | None]) -> set[Path]:
    return {place for location in locations if location is not None for place in artifacts_of(location)}


def _require_place(root: Path, places: set[Path]) -> None:
    """Raise RegistryError if new records would be written below another folder."""
    here = (root / ARTIFACTS).resolve()
    others = sorted(place for place in places if place != here and place.resolve() != here)
    if not others:
        return
    was = others[0].parents[1]
    how = f"copied from {was}, and would write its runs and models there" if others[0].exists() else f"moved from {was}"
    raise RegistryError(
        f"this project was {how}; `kshot doctor --mend` moves its records here; nothing has been written yet"
    )


def _remembered(root: Path) -> str:
    try:
        return str(json.loads((root / REMEMBERED).read_text(encoding="utf-8"))["run"])
    except FileNotFoundError:
        return ""
    except (ValueError, TypeError, KeyError) as error:
        raise RegistryError(f"{REMEMBERED} is damaged ({error}); {COPY}, or delete it") from error
