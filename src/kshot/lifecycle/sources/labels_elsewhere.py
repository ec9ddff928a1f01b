"""Says where the labels of a refused folder may be: in a table, in annotations, or in the names of the files."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kshot.data.image_formats import image_endings
from kshot.errors import DataError
from kshot.lifecycle.sources.shown_names import printable
from kshot.lifecycle.sources.tables import TABLES
from kshot.lifecycle.sources.tree import walk

ANNOTATIONS = (
    "of annotations (COCO, VOC, YOLO), which are not read; needs a .csv with the columns path,class, a row an image, "
    "each object cut out as an image of its own"
)
ANNOTATED = (".json", ".jsonl", ".xml", ".mat")
FEWEST = 2  # images of a name that would make it a class


@contextlib.contextmanager
def labels_elsewhere(folder: Path) -> Iterator[None]:
    """Add to a DataError of the block where the labels of the images below `folder` may be, if that is seen."""
    try:
        yield
    except DataError as error:
        where = place_of_labels(walk(folder).files) if folder.is_dir() else ""
        if not where:
            raise
        raise DataError(f"{error}; {where}") from error


def place_of_labels(files: list[Path]) -> str:
    """A clause on the first of these that the files have, '' for none.

    - a table: it can be the source itself
    - annotations, also in a .txt for each image
    - names such as cat_001.jpg or 001_cat.jpg, of the images that lie in one folder
    """
    tables = [file for file in files if file.suffix.lower() in TABLES]
    if tables:
        name = printable(tables[0].as_posix())
        return f"the labels may be in {name}: give it the columns path,class, and add it instead of the folder"
    images = [file for file in files if file.suffix.lower() in image_endings()]
    stems = {file.stem for file in images}
    marks = [file for file in files if file.suffix.lower() == ".txt" and file.stem in stems]
    annotated = [file for file in files if file.suffix.lower() in ANNOTATED]
    if annotated or marks:
        return f"{printable((annotated or marks)[0].as_posix())} is a file {ANNOTATIONS}"
    names = Counter(re.sub(r"[\W\d_]+", "", stem) for stem in (file.stem for file in images))
    if len(names) > 1 and "" not in names and min(names.values()) >= FEWEST:
        example = printable(images[0].name)
        return (
            f"the classes seem to be in the names, such as {example}: needs one folder a class, or a .csv (path,class)"
        )
    return ""
