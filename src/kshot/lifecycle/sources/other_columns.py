"""Reads tables of other programs as manifests: `image_id,label` beside a folder of images, as of Kaggle."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kshot.data.image_formats import image_endings
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.source_files.tables import ELSEWHERE, Row, read_columns, read_rows
from kshot.lifecycle.sources.tree import walk

ENDINGS = ("", *sorted({form for ending in image_endings() for form in (ending, ending.upper())}))


class OtherColumns(NamedTuple):
    """Which columns stand for path and class, and where the files are.

    folder  below the table's own, in which the paths begin
    ending  what the paths lack, such as .jpg
    """

    path: str
    label: str
    folder: PurePosixPath
    ending: str

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns in lower case."""
        return tuple(name.casefold() for name in (self.path, self.label) if name)

    @property
    def is_label(self) -> bool:
        """Whether the name of the column for the class says that it has labels."""
        return self.label.casefold() in ("class", *ELSEWHERE["class"])

    def row(self, row: Row) -> Row:
        """The row with the columns path and class."""
        values = {**row.values, "path": row.values[self.path.casefold()]}
        if self.label:
            values["class"] = row.values[self.label.casefold()]
        if values["path"]:
            values["path"] = (self.folder / f"{values['path']}{self.ending}").as_posix()
        return Row(row.number, values)

    def note(self, table: Path) -> str:
        """How the table is read."""
        read = [f"{printable(self.path)} as path", *([f"{printable(self.label)} as class"] if self.label else [])]
        where = f", in {printable(self.folder.as_posix())}/" if self.folder.parts else ""
        ending = f", with {self.ending}" if self.ending else ""
        return f"{printable(table.name)}: column {' and '.join(read)}{where}{ending}"


def other_columns(table: Path, *, unlabelled: bool = False) -> OtherColumns | None:
    """How to read a table without the columns path and class; None for one that has them, or cannot be understood.

    The path is a column with a name of `ELSEWHERE` whose values are files of one
    folder; the class is the one column with such a name, or the only other column of a table of two.
    """
    names = [name for name in read_columns(table) if name]
    folded = [name.casefold() for name in names]
    if {"path", "class"} <= set(folded) or len(set(folded)) < len(folded):
        return None
    paths = _named(names, "path")
    labels = [name for name in _named(names, "class") if name not in paths]
    if not labels and len(names) == 2 and len(paths) == 1:
        labels = [name for name in names if name not in paths]
    if len(labels) != 1 and not (unlabelled and not labels):
        return None
    there: set[PurePosixPath] = set()
    for path in paths:
        values = [row.values[path.casefold()] for row in read_rows(table, (path.casefold(),))]
        first = values[0] if values else ""
        direct = bool(first) and "\0" not in first and (table.parent / first).is_file()
        there = there or ({PurePosixPath(file) for file in walk(table.parent).files} if not direct else there)
        if found := (PurePosixPath(), "") if direct else _place(values, there):
            return OtherColumns(path, labels[0] if labels else "", *found)
    return None


def _named(names: Sequence[str], column: str) -> list[str]:
    """The column itself, else those that other programs call otherwise."""
    own = [name for name in names if name.casefold() == column]
    return own or [name for name in names if name.casefold() in ELSEWHERE[column]]


def _place(paths: Sequence[str], there: Collection[PurePosixPath]) -> tuple[PurePosixPath, str] | None:
    """The folder and the ending with which most of the paths are files; None if the first is none."""
    if not paths or not paths[0]:
        return None
    folders = {folder for file in there for folder in file.parents}
    begins = [
        (folder, ending) for folder in sorted(folders) for ending in ENDINGS if folder / f"{paths[0]}{ending}" in there
    ]
    return max(begins, key=lambda one: sum(one[0] / f"{path}{one[1]}" in there for path in paths), default=None)
