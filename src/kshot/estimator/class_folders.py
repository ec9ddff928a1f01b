"""Reads the labelled images below a folder: one folder a class, optionally below folders train, val and test."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kshot.data.folders.split_folders import without_split_folders
from kshot.data.folders.strays import strays
from kshot.data.folders.system_files import written_by
from kshot.data.image_formats import image_endings
from kshot.data.splits import SPLITS, split_named
from kshot.errors import DataError

TRAIN_ALONE = "give the folder train/ alone"


class ClassFolders(NamedTuple):
    """The files below a folder.

    files     class to its images
    splits    class to train, val or test; {} if the folders name none
    left_out  files that are not images by their name, are masks, or are in no class
    note      how folders train, val and test were read, if their classes are the same; else ''
    """

    files: dict[str, list[Path]]
    splits: dict[str, str]
    left_out: list[Path]
    note: str = ""


def read_class_folders(folder: Path) -> ClassFolders:
    """Every image below `folder`; the class of an image is the path of its folder, without a level of splits.

    Hidden files and those that a system or a NAS keeps for itself are skipped (`kshot.data.folders.system_files`).
    Folders named train, val and test are read as by `kshot data add` (`split_folders`): if they have the same
    classes, there are no splits, and the images of test are not used. Raises DataError for a folder that is missing,
    has no image in a class folder or no train/ beside a test/, and for classes that overlap in part.
    """
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "missing"
        raise DataError(f"{folder} is {kind}; needs a folder with one folder of images a class")
    images, left_out = _images_below(folder)
    odd = {*strays(images), *_beside_classes(images)}
    images = [place for place in images if place not in odd]
    placed = without_split_folders(sorted({place.parent for place in images}), remedy=TRAIN_ALONE)
    left = [folder / place for place in (*left_out, *sorted(odd))]
    if placed is None:
        return ClassFolders(_by_class(folder, images, "/".join), {}, left)
    in_split: dict[str, list[Path]] = {}
    for place in images:
        in_split.setdefault(split_named(place.parts[placed.level]), []).append(place)
    if SPLITS[0] not in in_split:
        raise DataError(
            f"{folder} has a folder {images[0].parts[placed.level]}/ and no train/; needs train/ next to it, or give "
            "the folder that holds the classes"
        )
    used, note = images, ""
    if not placed.splits and len(in_split) > 1:
        used = [place for split, places in in_split.items() if split != "test" for place in places]
        note = _merged(in_split)
    return ClassFolders(
        _by_class(folder, used, lambda parts: placed.label(Path(*parts))), dict(placed.splits), left, note
    )


def _images_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images in class folders, and all other files, relative to `folder`. Raises DataError without an image."""
    images: list[Path] = []
    left_out: list[Path] = []
    for path in _files(folder):
        place = path.relative_to(folder)
        (images if path.suffix.lower() in image_endings() and len(place.parts) > 1 else left_out).append(place)
    if not images:
        found = f"{len(left_out)} file{'s' if len(left_out) > 1 else ''}" if left_out else "no file"
        raise DataError(f"{folder} holds {found} and no image in a class folder; needs folder/CLASS/image.png")
    return images, left_out


def _beside_classes(images: Sequence[Path]) -> set[Path]:
    """The images directly in a folder named like a split, if all deeper images lie in such folders."""
    tops = {place.parts[0] for place in images if len(place.parts) > 2}
    if not tops or not all(split_named(top) for top in tops):
        return set()
    return {place for place in images if len(place.parts) == 2 and split_named(place.parts[0])}


def _by_class(folder: Path, images: Sequence[Path], name_of: Callable[[tuple[str, ...]], str]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for place in images:
        files.setdefault(name_of(place.parts[:-1]), []).append(folder / place)
    return files


def _merged(in_split: Mapping[str, Sequence[Path]]) -> str:
    """A note on folders of the same classes: which images are put together, and which are not used."""
    names, unused = ", ".join(f"{split}/" for split in SPLITS if split in in_split), len(in_split.get("test", ()))
    done = [
        *(["a class's images in train/ and val/ are put together"] if "val" in in_split else []),
        *([f"test/ is not used ({unused:,} image{'s' if unused > 1 else ''})"] if unused else []),
    ]
    return f"{names} share classes, and few-shot splits are by class: {', and '.join(done)}"


def _files(folder: Path) -> list[Path]:
    """The files below `folder` in the order of their names; links are followed, each folder once."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not written_by(name))
        if real not in seen:
            found += [Path(place) / name for name in sorted(names) if not written_by(name)]
        seen.add(real)
    return found
