"""Reads a table of class,split, which says where each class belongs; an error names the row and the cause."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from kshot.data.splits import SPLITS, split_named
from kshot.errors import DataError
from kshot.lifecycle.source_files.shown_names import quoted
from kshot.lifecycle.source_files.tables import read_rows
from kshot.lifecycle.sources.source_image import SourceImage, normal

NEEDS_SPLIT = f"needs {', '.join(SPLITS)}"


def with_split(
    images: Sequence[SourceImage], table: Path, empty: Sequence[str] = (), optional: Collection[str] = ()
) -> list[SourceImage]:
    """The images with the split that a table of class,split gives each class; classes in `empty` may be in it too.

    It may leave out the classes in `optional`, which are then as they were. Raises DataError if the table is not one of
    class,split, omits a class, or names one that does not exist.
    """
    known = {image.label for image in images}
    place: dict[str, str] = {}
    for row in read_rows(table, ("class", "split")):
        name = normal(row.values["class"])
        where = f"{table}, row {row.number}"
        split = split_named(row.values["split"])
        if not split:
            raise DataError(f"{where} has the split {quoted(row.values['split'])}; {NEEDS_SPLIT}")
        if name in place:
            raise DataError(f"{where} names class {quoted(name)} twice; needs one line a class")
        if name not in known and name not in empty:
            raise DataError(f"{where} names class {quoted(name)}; the images have no such class{_nearest(name, known)}")
        place[name] = split
    absent = sorted(known - place.keys() - set(optional))
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(
            f"{table} leaves out class {quoted(absent[0])}{more}; needs a line for each class"
            f"{_nearest(absent[0], place)}"
        )
    return [replace(image, split=place.get(image.label, image.split)) for image in images]


def _nearest(name: str, others: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(others), n=1)
    return f": did you mean {quoted(near[0])}?" if near else ""
