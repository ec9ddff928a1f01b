"""Says where the labels of a refused folder may be: in a table, in annotations, or in the names of the files."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kshot.data.image_formats import image_endings
from kshot.errors import DataError
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.source_files.tables import TABLES, WITH_IMAGES
from kshot.lifecycle.sources.annotations import OBJECTS, annotations
from kshot.lifecycle.sources.tree import walk

LOOKED_AT = 3  # files of an ending that are read in search of annotations
FEWEST = 2  # images of a name that would make it a class


@contextlib.contextmanager
def labels_elsewhere(folder: Path, *, packed: bool = False) -> Iterator[None]:
    """Add to a DataError of the block where the labels of the images below `folder` may be, if a place is found.

    packed: the folder is what an archive was unpacked to.
    """
    try:
        yield
    except DataError as error:
        files = walk(folder).files if folder.is_dir() else []
        where = place_of_labels(folder, files, packed=packed)
        about_table = any(file.name in str(error) for file in files if file.suffix.lower() in TABLES)
        if not where or about_table:
            raise
        raise DataError(f"{error}; {where}") from error


def place_of_labels(folder: Path, files: list[Path], *, packed: bool = False) -> str:
    """A clause on the first of these that the files below `folder` have, '' for none.

    - a table: it can be the source itself
    - annotations
    - names such as cat_001.jpg, 001_cat.jpg or class3_001.jpg, of the images that lie in one folder
    """
    tables = [file for file in files if file.suffix.lower() in TABLES]
    if tables:
        name = printable(tables[0].as_posix())
        if column := _column_of_images(folder / tables[0]):
            return f"{name} {WITH_IMAGES.format(column=column)}"
        unpacked = "unpack the archive, " if packed else ""
        return (
            f"the labels may be in {name}: {unpacked}give it the columns path,class, and add it instead of the folder"
        )
    images = [file for file in files if file.suffix.lower() in image_endings()]
    if kinds := _annotations(folder, files):
        return kinds
    stems = [file.stem for file in images]
    if any(_are_classes([kind(stem) for stem in stems]) for kind in (_letters, _words)):
        example = printable(images[0].name)
        return (
            f"the classes seem to be in the names, such as {example}: needs one folder a class, or a .csv (path,class)"
        )
    return ""


def _are_classes(names: list[str]) -> bool:
    counts = Counter(names)
    return len(counts) > 1 and "" not in counts and min(counts.values()) >= FEWEST


def _letters(stem: str) -> str:
    """The name without digits: `cat` of cat_001, cat12 and 001_cat."""
    return re.sub(r"[\W\d_]+", "", stem)


def _words(stem: str) -> str:
    """The name without numbers that stand alone: `class3` of class3_001, '' of 20240101_1; dates are no names."""
    return "_".join(word for word in re.split(r"[\W_]+", stem) if not word.isdigit())


def _annotations(folder: Path, files: list[Path]) -> str:
    """The first file of annotations with its kind; annotations of objects before a file known by its ending alone."""
    counts: Counter[str] = Counter()
    others = ""
    for file in files:
        ending = file.suffix.lower()
        counts[ending] += 1
        if counts[ending] <= LOOKED_AT and (kind := annotations(folder / file)):
            found = f"{printable(file.as_posix())}: {kind}"
            if kind.endswith(OBJECTS):
                return found
            others = others or found
    return others


def _column_of_images(table: Path) -> str:
    if table.suffix.lower() != ".parquet":
        return ""
    from kshot.lifecycle.source_files.parquet_table import image_columns  # here, as it imports pandas

    with contextlib.suppress(OSError, ValueError):
        return next(iter(image_columns(table)), "")
    return ""
