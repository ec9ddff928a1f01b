"""The report's section on the data: its size, its splits, and what was left out at each step, with the reason."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.packed import read_classes, read_manifest
from kshot.lifecycle.project import layout

NAMED = 10  # unreadable files that are named; the rest is counted


def data_section(root: Path) -> dict[str, Any] | None:
    """The numbers of images and classes, the classes of each split, and lines on images left out.

    None if the images have not been packed.
    """
    try:
        manifest = read_manifest(root)
    except FileNotFoundError:
        return None
    return {
        "images": len(manifest),
        "classes": int(manifest["class"].nunique()),
        "splits": _splits(root),
        "left_out": [*_of_source(root), *_unreadable(root), *_small_classes(root)],
    }


def _splits(root: Path) -> dict[str, int]:
    try:
        classes = read_classes(root)
    except FileNotFoundError:
        return {}
    upright = classes[classes["rotation"] == 0]["split"].value_counts()
    return {name: int(upright[name]) for name in ("train", "val", "test") if name in upright}


def _of_source(root: Path) -> tuple[str, ...]:
    """The files that `kshot data add` left out of the source of the current version."""
    version = data_versions.current(root)
    return version.left_out if version is not None else ()


def _unreadable(root: Path) -> list[str]:
    path = root / layout.PACKED / "unreadable.csv"
    if not path.exists():
        return []
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    lines = [f"{row['path']} cannot be read: {row['reason']}" for row in table.head(NAMED).to_dict("records")]
    if len(table) > NAMED:
        lines.append(f"{len(table) - NAMED:,} more files cannot be read: data/packed/unreadable.csv")
    return lines


def _small_classes(root: Path) -> list[str]:
    """The lines of stage validate about classes with too few images."""
    path = root / layout.VALIDATION / "validation.json"
    if not path.exists():
        return []
    return [str(line) for line in json.loads(path.read_text(encoding="utf-8")).get("left_out", [])]
