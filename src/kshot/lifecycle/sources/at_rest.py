"""Detects a source that changes while it is read, so that half a copy never becomes a data version."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.source_files.tables import TABLES
from kshot.lifecycle.sources import tree
from kshot.lifecycle.sources.manifests import manifest_rows


def fingerprint(source: Path) -> str:
    """16 hex digits over names, sizes and times of the files of `source` that `data add` reads, following links.

    A folder: its files, and the folders without one, which are refused as empty classes. A table: itself, and the files
    that it names. Raises OSError if `source` is missing or cannot be read, and DataError for a loop of links.
    """
    if source.is_dir():
        found = tree.walk(source)
        return _digest(source, map(str, found.files), map(str, found.leaves))
    named: list[str] = []
    if source.suffix.lower() in TABLES:
        with contextlib.suppress(DataError):  # no table: `data add` says why
            named = [row.values["path"] for row in manifest_rows(source, unlabelled=True)[0]]
    source.stat()  # raises OSError; a file that a table names may be missing
    return _digest(source.parent, [source.name, *named])


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
        f"{source} changed while it was read, probably by a copy in progress, and nothing was added; "
        "run the same command when it is complete"
    )


def _state(source: Path) -> str:
    """The fingerprint; '' where there is none to take."""
    try:
        return fingerprint(source)
    except (OSError, DataError):
        return ""


def _digest(folder: Path, files: Iterable[str], folders: Iterable[str] = ()) -> str:
    facts: list[tuple[str, int, int]] = [(name, 0, 0) for name in folders]
    for name in files:
        try:
            file = (folder / name).stat()
            facts.append((name, file.st_size, file.st_mtime_ns))
        except (FileNotFoundError, ValueError):  # ValueError: a zero byte in a table's path, which `data add` names
            facts.append((name, -1, 0))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
