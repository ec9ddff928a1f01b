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
    """Class names, and paths of images below data/raw.

    images_moved     (old path, new path) with the same content
    drawers_changed  images at the same path that are said to be drawn by somebody else
    """

    old: str
    new: str
    classes_added: tuple[str, ...]
    classes_removed: tuple[str, ...]
    images_added: tuple[str, ...]
    images_removed: tuple[str, ...]
    images_changed: tuple[str, ...]
    images_moved: tuple[tuple[str, str], ...]
    splits_changed: tuple[str, ...]
    groups_changed: tuple[str, ...]
    drawers_changed: tuple[str, ...]

    def __str__(self) -> str:
        moved = tuple(f"{old} -> {new}" for old, new in self.images_moved)
        parts = [
            ("classes that came", self.classes_added),
            ("classes that went", self.classes_removed),
            ("classes in another split", self.splits_changed),
            ("classes in another group", self.groups_changed),
            ("images that came", self.images_added),
            ("images that went", self.images_removed),
            ("images with new content", self.images_changed),
            ("images that moved", moved),
            ("images by another drawer", self.drawers_changed),
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
    splits: dict[str, str]  # of each class
    groups: dict[str, str]  # of each class
    drawers: dict[str, str]  # of each path, '' for nobody


def compare(cache: Path, old: str, new: str) -> DataDiff:
    """The difference between the versions with md5s `old` and `new`, read from DVC's `cache` folder."""
    before, after = _read(cache, old), _read(cache, new)
    came = {path for path in after.content if path not in before.content}
    went = {path for path in before.content if path not in after.content}
    moved = _pair_moved(before.content, after.content, sorted(went), sorted(came))
    came -= {path for _, path in moved}
    went -= {path for path, _ in moved}
    return DataDiff(
        old=old,
        new=new,
        classes_added=tuple(sorted(after.splits.keys() - before.splits.keys())),
        classes_removed=tuple(sorted(before.splits.keys() - after.splits.keys())),
        images_added=tuple(sorted(came)),
        images_removed=tuple(sorted(went)),
        images_changed=_differ(before.content, after.content),
        images_moved=tuple(moved),
        splits_changed=_differ(before.splits, after.splits),
        groups_changed=_differ(before.groups, after.groups),
        drawers_changed=_differ(before.drawers, after.drawers),
    )


def _differ(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    """The names in both whose values differ."""
    return tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name]))


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
    rows = list(csv.DictReader(io.StringIO(manifest)))
    splits, groups = ({row["class"]: row[column] for row in rows} for column in ("split", "group"))
    return _Listing(content, splits, groups, {row["path"]: row.get("drawer") or "" for row in rows})


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]
