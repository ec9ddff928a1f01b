"""Compares two data versions by content, from DVC's listings; nothing is checked out."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import DataError

SHOWN = 10  # names in a printed list; the rest is counted


@dataclass(frozen=True)
class DataDiff:
    """Class names, and paths of images below data/raw; `images_moved`: (old path, new path) with the same content."""

    old: str
    new: str
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]
    images_added: tuple[str, ...]
    images_removed: tuple[str, ...]
    images_changed: tuple[str, ...]
    images_moved: tuple[tuple[str, str], ...]
    splits_changed: tuple[str, ...]

    def __str__(self) -> str:
        moved = tuple(f"{old} -> {new}" for old, new in self.images_moved)
        parts = [
            ("classes that came", self.classes_added),
            ("classes that went", self.classes_removed),
            ("classes in another split", self.splits_changed),
            ("images that came", self.images_added),
            ("images that went", self.images_removed),
            ("images with new content", self.images_changed),
            ("images that moved", moved),
        ]
        lines = [f"{self.old[:8]} -> {self.new[:8]}"]
        for title, names in parts:
            if names:
                lines.append(f"{title}: {len(names)}")
                lines += [f"  {name}" for name in names[:SHOWN]]
                if len(names) > SHOWN:
                    lines.append(f"  and {len(names) - SHOWN} more")
        return "\n".join(lines if len(lines) > 1 else [f"{lines[0]}: no difference"])


@dataclass(frozen=True)
class _Listing:
    content: dict[str, str]  # path to md5
    classes: dict[str, str]  # class to split


def compare(cache: Path, old: str, new: str) -> DataDiff:
    """The difference between the versions with md5s `old` and `new`, read from DVC's `cache` folder."""
    before, after = _read(cache, old), _read(cache, new)
    came = {path for path in after.content if path not in before.content}
    went = {path for path in before.content if path not in after.content}
    moved = _pair_moved(before.content, after.content, sorted(went), sorted(came))
    came -= {path for _, path in moved}
    went -= {path for path, _ in moved}
    stayed = before.content.keys() & after.content.keys()
    both = before.classes.keys() & after.classes.keys()
    return DataDiff(
        old=old,
        new=new,
        classes_added=tuple(sorted(after.classes.keys() - before.classes.keys())),
        classes_removed=tuple(sorted(before.classes.keys() - after.classes.keys())),
        images_added=tuple(sorted(came)),
        images_removed=tuple(sorted(went)),
        images_changed=tuple(sorted(path for path in stayed if before.content[path] != after.content[path])),
        images_moved=tuple(moved),
        splits_changed=tuple(sorted(name for name in both if before.classes[name] != after.classes[name])),
    )


def _pair_moved(
    before: dict[str, str], after: dict[str, str], went: list[str], came: list[str]
) -> list[tuple[str, str]]:
    by_content: dict[str, list[str]] = {}
    for path in went:
        by_content.setdefault(before[path], []).append(path)
    return [(by_content[after[path]].pop(0), path) for path in came if by_content.get(after[path])]


def _read(cache: Path, md5: str) -> _Listing:
    try:
        entries = json.loads(_object(cache, f"{md5}.dir").read_text(encoding="utf-8"))
        content = {entry["relpath"]: entry["md5"] for entry in entries}
        manifest = _object(cache, content.pop("manifest.csv")).read_text(encoding="utf-8")
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"DVC's cache no longer holds the listing of data version {md5[:8]}; "
            "bring it back with `dvc fetch`, or add that data again"
        ) from error
    classes = {row["class"]: row["split"] for row in csv.DictReader(io.StringIO(manifest))}
    return _Listing(content, classes)


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]
