"""Names that people give to data versions, stored in data/names.json, which belongs in git next to the ledger."""

import json
import re
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive, write_text

FORM = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
HASH = re.compile(r"[0-9a-f]{1,32}(\.dir)?")


def names(root: Path) -> dict[str, str]:
    """Each name with the md5 of its data version. Raises DataError for a damaged file."""
    path = root / layout.NAMES
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(md5) for name, md5 in found.items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again, or delete it") from error


def give(root: Path, name: str, md5: str, *, move: bool = False) -> str | None:
    """Name the data version `md5`. Returns the md5 that had the name before, None for a new name.

    Raises DataError for a name that could be mistaken for a version and, without `move`, for the name of another one.
    """
    if HASH.fullmatch(name):
        raise DataError(f"the name {name!r} could be the start of a data version; needs a letter from g to z in it")
    if not FORM.fullmatch(name):
        raise DataError(f"the name {name!r} cannot be used; needs letters, digits, '.', '-' and '_', 64 at most")
    with exclusive(root, "names"):
        known = names(root)
        before = known.get(name)
        if before not in (None, md5) and not move:
            raise DataError(
                f"the name {name!r} belongs to data version {before[:8] if before else ''}; "
                "take another name, or move it with --move"
            )
        _write(root, {**known, name: md5})
    return before


def take_away(root: Path, name: str) -> str:
    """Remove a name and return the md5 that it stood for. Raises DataError for an unknown name."""
    with exclusive(root, "names"):
        known = names(root)
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise DataError(f"no data version has the name {name!r}; the names are: {there}")
        md5 = known.pop(name)
        _write(root, known)
    return md5


def of(root: Path, md5: str) -> list[str]:
    """The names of a data version, sorted."""
    return sorted(name for name, held in names(root).items() if held == md5)


def _write(root: Path, known: dict[str, str]) -> None:
    write_text(root / layout.NAMES, json.dumps(dict(sorted(known.items())), indent=2) + "\n")
