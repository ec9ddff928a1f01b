"""Which objects of DVC hold an image, or were computed from its pixels: files, packed images, features, pages.

All shards of packed images that were made from the image go, with those of stages that stored pixels or features from
them. A shard that a data version without the image shares stays: a shard that nothing lists could not be found later.
In doubt an object counts as holding the image: DVC can compute it again, from the images that are left.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import yaml

from kshot.lifecycle.data.packed import has_pixels, is_packed
from kshot.lifecycle.forget.holding import Forgotten
from kshot.lifecycle.forget.object_stores import FOLDER
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.stages.features import are_features
from kshot.load_yaml import load_yaml

IMAGE, PACKED, FEATURES_OF, PAGE, LISTING = "image", "packed images", "features", "page", "listing of them"
ROWS = "manifest.parquet"  # of packed images
RAW_ROWS = "manifest.csv"  # of a data version
Folders = Mapping[str, Mapping[str, str]]  # folder object to relative path to object
Read = Callable[[str], bytes | None]


def versions_with(folders: Folders, md5s: Iterable[str]) -> set[str]:
    """The data versions (md5 without .dir) that list one of these image files."""
    wanted = set(md5s)
    return {
        oid.removesuffix(FOLDER)
        for oid, files in folders.items()
        if RAW_ROWS in files and not wanted.isdisjoint(files.values())
    }


def holding_objects(
    folders: Folders, wanted: Forgotten, read: Read, locks: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """Every object to delete, with its kind; computed objects come before the objects that they came from.

    folders  every folder object of every store
    read     reads an object, None if no store has it
    locks    the stages of dvc.lock and of DVC's run cache: which output was computed from which input
    """
    packed = {oid: files for oid, files in folders.items() if is_packed(files)}
    pixels = sorted(oid for oid, files in packed.items() if _shows(files, wanted, read))
    shared = {object_ for oid in packed.keys() - set(pixels) for object_ in packed[oid].values()}
    shown = {oid: _pixels_and_rows(packed[oid]) - shared for oid in pixels}
    tainted = {f"{version}{FOLDER}" for version in wanted.versions}.union(pixels, *shown.values())
    found = _computed_from(folders, tainted, list(locks))
    for oid, objects in shown.items():
        found |= dict.fromkeys(sorted(objects), PACKED)
        found[oid] = LISTING
    return found | dict.fromkeys(sorted(wanted.md5s), IMAGE)


def _computed_from(folders: Folders, tainted: set[str], entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The features and pages that a stage computed from `tainted` objects, or of which no stage is known."""
    found: dict[str, str] = {}
    staying: set[str] = set()  # features of data versions without the image
    for oid, files in folders.items():
        what = _computed(files)
        made = [one for one in entries if any(out.get("md5") == oid for out in one.get("outs", []))]
        from_image = any(dep.get("md5") in tainted for one in made for dep in one.get("deps", []))
        if what and (from_image or not made):
            names = [name for name in files if what == FEATURES_OF or PurePosixPath(name).suffix == ".html"]
            # In a shared remote it may be another project's: a person should see that before they agree.
            label = what if made else f"{what}, origin not recorded"
            found |= {files[name]: label for name in names if name != "embedded.json"}
            found[oid] = LISTING
        elif what == FEATURES_OF:
            staying |= set(files.values())
    return {oid: what for oid, what in found.items() if oid not in staying}


def read_locks(root: Path, cache: Path) -> list[dict[str, Any]]:
    """Every stage of dvc.lock, and of DVC's run cache, with its `deps` and `outs`."""
    found: list[dict[str, Any]] = []
    for path in (root / LOCK_FILE, *sorted(cache.glob("runs/*/*/*"))):
        try:
            content = load_yaml(path.read_text(encoding="utf-8"))
            found += list(content["stages"].values()) if path.name == LOCK_FILE else [content]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
            continue  # an output that no lock explains counts as computed from the image
    return [one for one in found if isinstance(one, dict)]


def shows(rows: bytes, wanted: Forgotten) -> bool:
    """Whether the table of packed images has one of the images: by its pixels, else by its path."""
    try:
        table = pd.read_parquet(io.BytesIO(rows))
        by_pixels = bool(table["content"].isin(wanted.pixels).any())
        unread = any(not image.pixels for image in wanted.images)
        return by_pixels or (unread and bool(table["path"].isin(wanted.paths).any()))
    except (OSError, ValueError, KeyError):  # a damaged table
        return True


def paths_of(rows: bytes, pixels: set[str]) -> set[str]:
    """The paths in a table of packed images whose images have these pixels; empty for a damaged table."""
    try:
        table = pd.read_parquet(io.BytesIO(rows))
        return set(map(str, table["path"][table["content"].isin(pixels)]))
    except (OSError, ValueError, KeyError):
        return set()


def _pixels_and_rows(files: Mapping[str, str]) -> set[str]:
    return {oid for name, oid in files.items() if has_pixels(name) or name == ROWS}


def _shows(files: Mapping[str, str], wanted: Forgotten, read: Read) -> bool:
    rows = read(files[ROWS]) if ROWS in files else None
    return rows is None or shows(rows, wanted)


def _computed(files: Mapping[str, str]) -> str:
    if are_features(files):
        return FEATURES_OF
    return PAGE if layout.VALIDATION.with_suffix(".json").name in files and "index.html" in files else ""
