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
        where = place_of_labels(folder, walk(folder).files, packed=packed) if folder.is_dir() else ""
        if not where:
            raise
        raise DataError(f"{error}; {where}") from error


def place_of_labels(folder: Path, files: list[Path], *, packed: bool = False) -> str:
    """A clause on the first of these that the files below `folder` have, '' for none.

    - a table: it can be the source itself
    - annotations
    - names such as cat_001.jpg or 001_cat.jpg, of the images that lie in one folder
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
    names = Counter(re.sub(r"[\W\d_]+", "", stem) for stem in (file.stem for file in images))
    if len(names) > 1 and "" not in names and min(names.values()) >= FEWEST:
        example = printable(images[0].name)
        return (
            f"the classes seem to be in the names, such as {example}: needs one folder a class, or a .csv (path,class)"
        )
    return ""


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
