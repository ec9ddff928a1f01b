"""Data versions: imported images in data/raw, tracked by DVC, whose md5 of that folder is the data version."""

import dataclasses
import json
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import data_names, working_copy
from kshot.lifecycle.data.data_diff import DataDiff, compare
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.project.files import write_text


@dataclasses.dataclass(frozen=True)
class DataVersion:
    """One version of data/raw. `md5`: DVC's, 32 hex digits; `size`: bytes; `added`: in UTC.

    left_out  the files of the source that were left out, and why, as lines for a person
    address   16 hex digits of the sha256 of the source's absolute path; '' for none, and where nobody recorded it
    base      md5 of the version that this one was made from, by `--extend`, `kshot feedback add-data` or `kshot forget`
    """

    md5: str
    added: str
    images: int
    classes: int
    files: int
    size: int
    source: str
    note: str
    left_out: tuple[str, ...] = ()
    address: str = ""
    base: str = ""

    @property
    def short(self) -> str:
        """The 8 characters shown to a person."""
        return self.md5[:8]


def versions(root: Path) -> list[DataVersion]:
    """Every version that was ever added here, oldest first."""
    path = root / layout.VERSIONS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [_entry(line) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again, or delete the broken line") from error


def current(root: Path) -> DataVersion | None:
    """The version that data/raw.dvc names, None if there is none. One not in the ledger has no note and no date."""
    out = working_copy.tracked(root)
    if out is None:
        return None
    for version in versions(root):
        if version.md5 == out.md5:
            return version
    return DataVersion(out.md5, "", *_count(root), out.files, out.size, "", "")


def find(root: Path, prefix: str) -> DataVersion:
    """The version with this name, or whose md5 starts with `prefix`. Raises DataError that lists the candidates."""
    prefix = data_names.names(root).get(prefix, prefix)
    known = versions(root)
    here = current(root)
    if here is not None and here not in known:
        known.append(here)
    found = [version for version in known if prefix and version.md5.startswith(prefix.removesuffix(".dir"))]
    if len(found) == 1:
        return found[0]
    if not known:
        raise DataError(f"{prefix!r} is no data version here: there is none yet; `kshot data add SOURCE` makes one")
    candidates = ", ".join(version.short for version in found or known)
    what = "is the beginning of several data versions" if found else "is no data version here"
    raise DataError(f"{prefix!r} {what}; needs the start of one of: {candidates}")


def diff(root: Path, old: DataVersion, new: DataVersion) -> DataDiff:
    """Classes and images that were added, removed, moved or changed from `old` to `new`, by content.

    Raises DataError if the cache no longer has a version's listing.
    """
    with dvc_repository(root) as repo:
        cache = Path(repo.cache.local.path)
    return compare(cache, old.md5, new.md5)


def enter(root: Path, version: DataVersion) -> None:
    """Add a version to the ledger, completely or not at all."""
    ledger = root / layout.VERSIONS
    lines = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
    fields = dataclasses.asdict(version)
    for name in ("left_out", "address", "base"):
        if not fields[name]:  # so that an older kshot reads the line
            del fields[name]
    line = json.dumps(fields, ensure_ascii=False)
    write_text(ledger, f"{lines}{line}\n")


def _entry(line: str) -> DataVersion:
    found = json.loads(line)
    return DataVersion(**{**found, "left_out": tuple(found.get("left_out", ()))})


def _count(root: Path) -> tuple[int, int]:
    manifest = root / layout.RAW / "manifest.csv"
    if not manifest.exists():
        return 0, 0
    import pandas as pd  # here, as above

    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    return len(table), table["class"].nunique()
