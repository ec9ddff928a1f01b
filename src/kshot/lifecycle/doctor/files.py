"""Finds unusable files in .kshot and mlruns: a lock of another user, a damaged note, a damaged database."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kshot.errors import KshotError
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project import layout, no_telemetry
from kshot.lifecycle.tracking import sqlite_trouble, store
from kshot.lifecycle.tracking.own_database import read_only

CHECK = "files"
EMPTY = "it is empty (0 bytes)"
PATIENCE_S = 5.0  # timeout while another process writes to a database
NOTES: tuple[Callable[[Path], Any], ...] = (schedule.read, new_data.read)


def findings(root: Path) -> list[Finding]:
    """Find locks, notes and databases that exist but cannot be used."""
    return [*locks(root), *([] if _is_closed(root / layout.STATE) else notes(root)), *databases(root)]


def locks(root: Path) -> Iterator[Finding]:
    """Folders that cannot be written to, and locks that cannot be opened; who holds a lock does not matter here."""
    for folder in (root / layout.STATE, root / layout.MLRUNS, root / layout.RAW.parent):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            yield _not_ours(folder, "it")
    for path in sorted({*(root / layout.STATE).glob("*lock")}):
        try:
            with path.open("r+", encoding="utf-8") as file:
                file.read()
        except PermissionError:
            yield _not_ours(path, "this lock")
        except (OSError, UnicodeDecodeError) as error:
            what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no text"
            yield Finding(CHECK, f"the lock {path} cannot be read ({what})", "a file", _aside(path))


def notes(root: Path) -> Iterator[Finding]:
    """Files that kshot stores between commands and can no longer read."""
    for read in NOTES:
        try:
            read(root)
        except KshotError as error:
            found, _, mend = str(error).partition("; ")
            yield Finding(CHECK, found, "a whole file", mend)
        except OSError as error:
            yield Finding(CHECK, str(error), "a file that can be read", "give it back to the user who runs kshot")


def databases(root: Path) -> Iterator[Finding]:
    """The sqlite databases of MLflow and Prefect that are damaged or cannot be opened."""
    home = Path(os.environ.get("PREFECT_HOME") or root / no_telemetry.PREFECT_HOME)
    for path, loss in (
        (root / store.DATABASE, "bring it back from a copy; the records of runs and models are in it"),
        (home / "prefect.db", f"{_aside(home / 'prefect.db')}: only the history of flow runs is in it"),
    ):
        trouble = unreadable(path)
        if path.name == "prefect.db" and trouble == EMPTY:  # kshot makes it, closed to others, and Prefect fills it
            continue
        is_reported = path.is_relative_to(root / layout.STATE) and _is_closed(
            root / layout.STATE
        )  # in the folder's finding
        if trouble and any(one in trouble for one in sqlite_trouble.LOCKED):  # it may be sound
            yield Finding(
                CHECK,
                f"the database {path} is in use by another process, waited for {PATIENCE_S:.0f} s",
                "the end of that process",
                f"`fuser {path}` names it",
                must=False,
            )
        elif trouble and not is_reported:
            yield Finding(CHECK, f"the database {path} cannot be used: {trouble}", "a whole sqlite database", loss)


def unreadable(path: Path) -> str:
    """Why the sqlite database cannot be read, '' if it can or does not exist."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return ""
    except OSError as error:  # the folder belongs to another user
        return error.strerror or type(error).__name__
    if size == 0:
        return EMPTY
    try:
        with read_only(path, PATIENCE_S) as database:
            found = database.execute("pragma quick_check(1)").fetchone()
        return "" if found == ("ok",) else f"it is damaged ({found[0]})"
    except sqlite3.Error as error:
        return str(error)


def _is_closed(folder: Path) -> bool:
    """Whether this user may not even list the folder."""
    return folder.exists() and not os.access(folder, os.X_OK, effective_ids=True)


def _not_ours(path: Path, what: str) -> Finding:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return Finding(CHECK, f"{path} lies on a read-only file system", "one that can be written", "mount it so")
    try:
        owner = path.owner()
    except KeyError:
        owner = f"user {path.stat().st_uid}"
    me = os.environ.get("USER") or str(os.geteuid())
    found = f"{path} belongs to {owner}, and {me} may not write {what} ({os.strerror(errno.EACCES)})"
    return Finding(CHECK, found, "one user for all commands", f"sudo chown -R $(id -u) {path}")


def _aside(path: Path) -> str:
    return f"move it away: mv {path} {path}.broken"
