"""One image of a source: its file, its class, and checks that its names can be stored."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import quoted

LONGEST_NAME = 200  # bytes of one folder's name; file systems allow up to 255


@dataclass(frozen=True)
class SourceImage:
    """One file with its class; group, split and drawer (`kshot.data.drawers`) may be ''."""

    file: Path
    label: str
    group: str
    split: str
    drawer: str = ""


def group_of(label: str) -> str:
    """The class name without its last part, '' if it has only one."""
    return label.rpartition("/")[0]


def normal(name: str) -> str:
    """The name in Unicode's composed form, NFC: macOS writes é as e plus an accent, others as one character."""
    return unicodedata.normalize("NFC", name)


def check_names(names: Iterable[tuple[str, str]]) -> None:
    """Raise DataError if a class or file name, given as (kind, name), would not survive as a path, in CSV or in JSON.

    The message names the first few, with the fault of each, and counts the others.
    """
    found = dict.fromkeys(
        f"{kind} {quoted(name)} cannot be stored as a name: {fault}"
        for kind, name in names
        if (fault := next(filter(None, map(_fault, name.split("/"))), ""))
    )
    if found:
        raise DataError(f"{first_few(list(found), 3, '; ')}; rename {'it' if len(found) == 1 else 'them'}")


def _fault(part: str) -> str:
    """Why a part of a name cannot be stored, '' if it can."""
    kinds = {unicodedata.category(sign) for sign in part}
    size = len(part.encode("utf-8", "surrogateescape"))
    if "Cs" in kinds:  # bytes that Python could not decode
        return "its bytes are no UTF-8"
    if "Cc" in kinds or "\\" in part:
        return "it has a backslash or a control character"
    if part != part.strip():
        return "it has a blank at an end"
    if part in ("", ".", ".."):
        return f"it has the part {quoted(part)}"
    return f"it has {size} bytes of at most {LONGEST_NAME}" if size > LONGEST_NAME else ""
