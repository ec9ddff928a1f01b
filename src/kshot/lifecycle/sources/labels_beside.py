"""Reads the labels that lie beside the images of a folder: a table as of Kaggle, or the .cls files of WebDataset."""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kshot.data.image_formats import image_endings
from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.source_files.tables import TABLES
from kshot.lifecycle.sources.manifests import manifest_rows, read_manifest
from kshot.lifecycle.sources.source_image import SourceImage, group_of, normal

DEEPEST = 2  # parts of a table's path below the folder: an archive may have one folder around all
MOST_TABLES = 20  # more belong to single images, and are not read
LEAST = 1 / 3  # of the images that a table names: half of a competition's images may be its test set, without labels
LONGEST = 1000  # bytes of a .cls file


class Labelled(NamedTuple):
    """Images with their labels. `by`: the file or the ending that has them; `used`: the files that were read."""

    images: list[SourceImage]
    by: str
    used: set[Path]
    notes: list[str]


def labels_beside(folder: Path, files: Sequence[Path]) -> Labelled | None:
    """The images of a folder whose labels lie beside them, None if its folders are the classes.

    files: those below the folder. A table counts if it gives images of one folder different classes. Raises DataError
    for several such tables, and for one that names an image that is not there.
    """
    images = [path for path in files if path.suffix.lower() in image_endings()]
    if not images:
        return None
    if found := _in_sidecars(folder, images, {path for path in files if path.suffix == ".cls"}):
        return found
    tables = [path for path in files if path.suffix.lower() in TABLES and len(path.parts) <= DEEPEST]
    if len(tables) > MOST_TABLES:
        return None
    tables = [path for path in tables if _labels(folder / path, len(images))]
    if not tables:
        return None
    if len(tables) > 1:
        names = first_few([printable(path.as_posix()) for path in tables])
        raise DataError(f"{names} each have labels of the images; add the one that is meant as the source itself")
    labelled, notes = read_manifest(folder / tables[0], inside=folder)
    used = {tables[0], *(image.file.relative_to(folder) for image in labelled)}
    return Labelled(labelled, printable(tables[0].name), used, notes)


def _labels(table: Path, images: int) -> bool:
    """Whether a table has the labels of a share of so many images, and the folders do not."""
    with contextlib.suppress(DataError, OSError, ValueError):
        rows, other = manifest_rows(table)
        if len(rows) < LEAST * images or not (table.parent / rows[0].values["path"]).is_file():
            return False
        classes = defaultdict(set)
        for row in rows:
            classes[PurePosixPath(row.values["path"]).parent].add(row.values["class"])
        if other is not None and not other.is_label and len(classes) > 1:
            return False  # the folders are the classes, and the column may be a caption or a price
        return any(len(names) > 1 for names in classes.values())
    return False


def _in_sidecars(folder: Path, images: Sequence[Path], labels: set[Path]) -> Labelled | None:
    named = {path: path.with_suffix(".cls") for path in images if path.with_suffix(".cls") in labels}
    if not named or len(named) < len(images):
        return None
    found = []
    for path, label in named.items():
        with (folder / label).open("rb") as content:
            name = normal(content.read(LONGEST).decode("utf-8", "replace").strip())
        if not name:
            raise DataError(f"{printable(label.as_posix())} is empty; needs the class of {printable(path.name)}")
        found.append(SourceImage(folder / path, name, group_of(name), ""))
    return Labelled(found, ".cls", {*named, *named.values()}, ["the classes are those in the .cls files of WebDataset"])
