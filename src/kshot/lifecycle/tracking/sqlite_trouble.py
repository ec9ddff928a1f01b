"""Turns MLflow's database errors into one line with a remedy: no SQL, and no advice that loses records."""

import os
import re
import sqlite3
import time
from pathlib import Path

from kshot import full_disk
from kshot.errors import RegistryError
from kshot.lifecycle.tracking import own_database
from kshot.lifecycle.tracking.own_database import damage

LONGEST = 160  # characters of MLflow's message
LOCKED = ("database is locked", "database table is locked")
NOT_OPENED = "unable to open database file"  # SQLite's text for a file that it may not or, on a full disk, cannot make
READ_ONLY = ("readonly database", NOT_OPENED, "Read-only file system", "Permission denied")
OLDER = ("out-of-date database schema", "Can't locate revision", "no such table", "no such column")


def sentence(where: str, text: str, waited_s: float) -> str:
    """One line about the database at address `where`, for the message `said` of MLflow or sqlite."""
    path = Path(where.removeprefix("sqlite:///")) if where.startswith("sqlite:///") else None
    name = _short(path) if path else where
    no_room = NOT_OPENED in text and path is not None and path.parent.is_dir() and full_disk.no_room(path.parent)
    if no_room or full_disk.says_full(text):
        return f"{name} cannot be written: the disk is full; free some space and run the same command again"
    if any(one in text for one in LOCKED):
        return (
            f"{name} is in use by another process{after('waited', waited_s)}; run the same command again when that one "
            f"has ended (`fuser {name}` names it)"
        )
    if any(one in text for one in READ_ONLY):
        return f"{name} cannot be written ({_why_not(path)}); nothing was changed"
    if path is not None and path.exists() and (what := damage(path)):
        return f"{name} {what}; bring it back from a copy"
    if any(one in text for one in OLDER):
        return (
            f"{name} was written by another version of MLflow ({first_sentence(text)}); "
            f"copy it, then bring it up to date with: mlflow db upgrade {where}"
        )
    return f"{name} cannot be used: {first_sentence(text)}; if it was damaged, bring it back from a copy"


def after(verb: str, seconds: float) -> str:
    """A clause that says how long something took, '' for less than a second.

    >>> after("tried", 7.2), after("tried", 0.1)
    (', tried for 7 s', '')
    """
    return f", {verb} for {seconds:.0f} s" if seconds >= 1 else ""


def require_usable(root: Path) -> None:
    """Raise RegistryError, before anything is written, if the project's own database cannot be read or written, or is
    of another place (`own_database.require_place`)."""
    where, began = f"sqlite:///{root / own_database.DATABASE}", time.monotonic()
    try:
        own_database.require_place(root)
    except sqlite3.Error as error:
        raise RegistryError(sentence(where, str(error), time.monotonic() - began)) from error
    used = "MLFLOW_TRACKING_URI" not in os.environ and (root / own_database.DATABASE).exists()
    if used and (why := read_only(where)):
        raise RegistryError(why)


def read_only(where: str) -> str:
    """One line about the database at address `where` if this process may only read it, else ''."""
    path = Path(where.removeprefix("sqlite:///"))
    if not where.startswith("sqlite:///") or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return ""
    return f"{_short(path)} cannot be written ({_why_not(path)}); nothing was changed"


def _why_not(path: Path | None) -> str:
    """Why a database cannot be written, as far as the file system shows."""
    if path is None:
        return "it can only be read"
    place = path if path.exists() else path.parent
    if not place.exists():
        return f"{place} is not there"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return "read-only file system"
    for one in (path, path.parent):
        if one.exists() and not os.access(one, os.W_OK):
            return f"{_short(one)} may not be written by this user"
    return "it can only be read"


def first_sentence(text: str) -> str:
    """The beginning of an error message, without the SQL, its parameters and help addresses that follow."""
    text = re.split(r"\[SQL|\(Background on|\[parameters", text)[0]
    return " ".join(text.split())[:LONGEST].rstrip(".; ")


def _short(path: Path) -> str:
    """A path relative to the project's folder, which contains mlruns/."""
    return "/".join(path.parts[-2:]) if path.parent.name == "mlruns" else str(path)
