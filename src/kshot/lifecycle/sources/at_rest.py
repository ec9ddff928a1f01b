"""Detects a source that changes while it is read, so that half a copy never becomes a data version."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.sources import tree
from kshot.lifecycle.sources.tables import TABLES, read_rows


def fingerprint(source: Path) -> str:
    """16 hex digits over names, sizes and times of the files of `source`, following links.

    Raises OSError if it is missing or cannot be read, and DataError for a loop of links.
    """
    names = [Path()] if source.is_file() else tree.walk(source).files
    return _digest(source, [str(name) for name in names])


@contextlib.contextmanager
def at_rest(source: Path) -> Iterator[None]:
    """Raise DataError if the files of `source`, or those that a manifest names, change during the block."""
    before = _state(source)
    try:
        yield
    except (OSError, DataError) as error:
        if _state(source) != before:
            raise DataError(_changed(source)) from error
        raise
    if _state(source) != before:
        raise DataError(_changed(source))


def _changed(source: Path) -> str:
    return (
        f"{source} changed while it was read, as a copy does that goes on, and nothing was added; "
        "run the same command when it is complete"
    )


def _state(source: Path) -> str:
    """A fingerprint, with the files that a manifest names; '' where there is none to take."""
    try:
        found = fingerprint(source)
        if source.is_file() and source.suffix.lower() in TABLES:
            found += _digest(source.parent, [row.values["path"] for row in read_rows(source, ("path",))])
    except (OSError, DataError):
        return ""
    return found


def _digest(folder: Path, names: list[str]) -> str:
    facts = []
    for name in names:
        file = (folder / name).stat()
        facts.append((name, file.st_size, file.st_mtime_ns))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
