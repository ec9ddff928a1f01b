"""Reads the labelled images below a folder: one folder a class, optionally below folders train, val and test."""

import os
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from kshot.data.image_formats import FORMATS
from kshot.data.splits import SPLITS, split_named
from kshot.errors import DataError


class ClassFolders(NamedTuple):
    """The files below a folder.

    files     class to its images
    splits    class to train, val or test; {} if the folders name none
    left_out  files that are not images by their name, or in no class
    """

    files: dict[str, list[Path]]
    splits: dict[str, str]
    left_out: list[Path]


def read_class_folders(folder: Path) -> ClassFolders:
    """Every image below `folder`; the class of an image is the path of its folder, without a level of splits.

    Files and folders whose names begin with a dot are skipped. If the folders train, val and test share a class, its
    images are merged and the splits are ignored: few-shot splits are by class. Raises DataError for a folder that is
    missing or has no image in a class folder.
    """
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "missing"
        raise DataError(f"{folder} is {kind}; needs a folder with one folder of images a class")
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    images: list[Path] = []
    left_out: list[Path] = []
    for path in _files(folder):
        place = path.relative_to(folder)
        (images if path.suffix.lower() in endings and len(place.parts) > 1 else left_out).append(place)
    if not images:
        found = f"{len(left_out)} file{'s' if len(left_out) > 1 else ''}" if left_out else "no file"
        raise DataError(f"{folder} holds {found} and no image in a class folder; needs folder/CLASS/image.png")
    names = {place.parts[0] for place in images}
    named = all(split_named(name) for name in names) and all(len(place.parts) > 2 for place in images)
    files: dict[str, list[Path]] = {}
    splits: dict[str, set[str]] = {}
    for place in images:
        parts = place.parts[1:-1] if named else place.parts[:-1]
        files.setdefault("/".join(parts), []).append(folder / place)
        if named:
            splits.setdefault("/".join(parts), set()).add(split_named(place.parts[0]))
    by_class = named and all(len(found) == 1 for found in splits.values())
    kept = {name: next(iter(found)) for name, found in splits.items()} if by_class else {}
    return ClassFolders(files, kept if SPLITS[0] in kept.values() else {}, [folder / place for place in left_out])


def _files(folder: Path) -> list[Path]:
    """The files below `folder` in the order of their names; links are followed, each folder once."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            found += [Path(place) / name for name in sorted(names) if not name.startswith(".")]
        seen.add(real)
    return found
