"""Reads a manifest into images; an error names the row and the cause."""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kshot.data.splits import split_named
from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import printable, quoted
from kshot.lifecycle.source_files.tables import ELSEWHERE, Row, read_columns, read_rows
from kshot.lifecycle.sources.class_names import in_several_forms
from kshot.lifecycle.sources.other_columns import OtherColumns, other_columns
from kshot.lifecycle.sources.path_hints import hint
from kshot.lifecycle.sources.source_image import SourceImage, check_names, group_of, normal
from kshot.lifecycle.sources.split_tables import NEEDS_SPLIT

COLUMNS = ("path", "class", "group", "split")
OPTIONAL = ("class", "group", "split", "drawer")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)  # a drive, C:\\, has one letter; Path makes one slash of two
LONGEST = 255  # bytes of a file's name
SHOWN = 200  # characters of a path in a message
MISSING = ("none", "nan", "null", "n/a", "<na>")  # how programs write a missing value as text
ZERO_OR_ONE = {"0", "1", "0.0", "1.0"}


def read_manifest(
    path: Path, *, unlabelled: bool = False, inside: Path | None = None
) -> tuple[list[SourceImage], list[str]]:
    """The images that a manifest names, and notes on how it was read.

    With `unlabelled` the column class may be missing; with `inside` no path may lead out of that folder. Raises
    DataError for a row that cannot be used, for a class in two splits, and for one without a split if others have one.
    """
    rows, other = manifest_rows(path, unlabelled=unlabelled)
    _check_classes(path, rows)
    images: list[SourceImage] = []
    numbers: list[int] = []
    seen: dict[Path, tuple[int, SourceImage]] = {}
    folders: dict[Path, Path] = {}
    repeated = []
    for row in rows:
        image = _image(path, row, unlabelled, inside)
        # Two ways to one file (a/0.png, a/../a/0.png) are one image: it would be support and query of one episode.
        parent = image.file.parent
        if parent not in folders:
            folders[parent] = parent.resolve()
        before = seen.setdefault(folders[parent] / image.file.name, (row.number, image))
        if before[1] is not image:
            if before[1] != replace(image, file=before[1].file):
                raise DataError(f"{_at(path, row)} stands in row {before[0]} too, with other values; needs one row")
            repeated.append(row.number)
            continue
        images.append(image)
        numbers.append(row.number)
    _check_splits(path, images, numbers)
    notes = [
        *([other.note(path)] if other else []),
        *_unread(path, other),
        *in_several_forms(row.values.get("class", "") for row in rows),
        *_odd_labels(images),
    ]
    if repeated:
        notes.append(f"{len(repeated)} rows of the manifest are repeated and count once, such as row {repeated[0]}")
    return images, notes


def manifest_rows(path: Path, *, unlabelled: bool = False) -> tuple[list[Row], OtherColumns | None]:
    """The rows of a manifest, and which columns were read if they have the names of another program.

    Raises DataError as `read_rows`.
    """
    try:
        return read_rows(path, ("path",) if unlabelled else ("path", "class"), OPTIONAL), None
    except DataError as error:
        other = None
        with contextlib.suppress(DataError, OSError, ValueError):
            other = other_columns(path, unlabelled=unlabelled)
        if other is not None:
            return [other.row(row) for row in read_rows(path, other.needed, OPTIONAL)], other
        if columns := _one_hot(path):
            raise DataError(
                f"{path} has the labels in {len(columns)} columns of 0 and 1 ({first_few(columns)}); needs one column "
                "class: write the name of the column that is 1"
            ) from error
        raise


def _one_hot(path: Path) -> list[str]:
    """The columns of 0 and 1 of a CSV that has no column for a class, if there are several; else none."""
    if path.suffix.lower() == ".parquet":
        return []
    with contextlib.suppress(DataError, OSError, ValueError):
        columns = [name for name in read_columns(path) if name]
        folded = [name.casefold() for name in columns]
        if not {"class", *ELSEWHERE["class"]} & set(folded):
            rows = read_rows(path, tuple(folded))
            found = [name for name in columns if rows and {row.values[name.casefold()] for row in rows} <= ZERO_OR_ONE]
            return [printable(name) for name in found] if len(found) > 1 else []
    return []


def _unread(path: Path, other: OtherColumns | None) -> list[str]:
    """A note on columns of the manifest that are not read; the unnamed ones, an index, are not worth a word.

    A column is offered for renaming if none has the name yet and, for split, if its values name splits: a fold of
    cross-validation is a number.
    """
    known = {"path", *OPTIONAL, *(other.needed if other else ())}
    columns = read_columns(path)
    others = [name for name in columns if name and name.casefold() not in known]
    if not others:
        return []
    folded = [name.casefold() for name in columns]
    renamed = {
        name: column
        for column, names in ELSEWHERE.items()
        for name in others
        if column not in (*folded, *(("path", "class") if other else ()))
        and name.casefold() in names
        and folded.count(name.casefold()) == 1
    }
    for name in [name for name, column in renamed.items() if column == "split"]:
        if not all(split_named(row.values[name.casefold()]) for row in read_rows(path, (name.casefold(),))):
            del renamed[name]
    rename = "".join(f"; rename {printable(name)} to {column} if it is that" for name, column in renamed.items())
    named = first_few([printable(name) for name in others], 5)
    return [f"column{'s' if len(others) > 1 else ''} {named} of the manifest not read{rename}"]


def _odd_labels(images: Sequence[SourceImage]) -> list[str]:
    """Notes on classes that may be a missing value written as text, or several labels of one image."""
    counts = Counter(image.label for image in images)
    notes = [
        f"{count:,} images are of class {quoted(name)}, taken as a name; if it means a missing class, delete these rows"
        for name, count in sorted(counts.items())
        if name.casefold() in MISSING
    ]
    for separator in ("|", ";", ","):
        joined = [name for name in counts if separator in name]
        parts = Counter(part.strip() for name in joined for part in name.split(separator))
        if joined and max(parts.values()) > 1:
            notes.append(
                f"{len(joined)} class names have '{separator}', such as {quoted(min(joined))}: each is one class; "
                "kshot reads one label an image"
            )
    return notes


def _check_classes(path: Path, rows: Sequence[Row]) -> None:
    """Raise DataError for class names that cannot be kept, each with its first row."""
    first: dict[str, int] = {}
    for row in rows:
        if label := normal(row.values.get("class", "")):
            first.setdefault(label, row.number)
    check_names((f"{path}, row {number}: class", label) for label, number in first.items())


def _image(path: Path, row: Row, unlabelled: bool, inside: Path | None) -> SourceImage:
    values = row.values
    if not values["path"]:
        raise DataError(f"{path}, row {row.number} has no path; needs one, or delete the row")
    label = normal(values.get("class", ""))
    if not label and not unlabelled:
        raise DataError(f"{_at(path, row)} has no class; needs one, or delete the row")
    split = split_named(values.get("split", ""))
    if values.get("split") and not split:
        raise DataError(f"{_at(path, row)} has the split {quoted(values['split'])}; {NEEDS_SPLIT}, or nothing")
    group, drawer = normal(values.get("group", "")), normal(values.get("drawer", ""))
    return SourceImage(_file(path, row, inside), label, group or group_of(label), split, drawer)


def _file(path: Path, row: Row, inside: Path | None) -> Path:
    name = row.values["path"]
    if "\0" in name:
        raise DataError(f"{_at(path, row)} has a zero byte, so it is no path; mend it")
    if max(len(part.encode("utf-8", "replace")) for part in name.split("/")) > LONGEST:
        raise DataError(
            f"{_at(path, row)} is too long for a path; if it is an image as text (base64), write each image into a file"
        )
    file = path.parent / name
    if not file.exists() and "\\" in name:
        file = path.parent / name.replace("\\", "/")
    file = _in_other_form(file)
    if not file.is_file():
        if name.lower().startswith("file://"):
            raise DataError(f"{_at(path, row)} is an address; needs a path: leave file:// out")
        if ADDRESS.match(name):
            raise DataError(f"{_at(path, row)} is an address, and kshot downloads nothing; fetch the images first")
        if file.is_dir():
            raise DataError(f"{_at(path, row)} is a folder; needs the path of one image")
        raise DataError(
            f"{_at(path, row)} is no file{hint(path.parent, name, file)}; needs paths from the manifest's own folder"
        )
    if inside is not None and not file.resolve().is_relative_to(inside.resolve()):
        raise DataError(f"{_at(path, row)} leads out of the archive; needs paths inside it")
    return file


def _in_other_form(file: Path) -> Path:
    """The only file of that name in another Unicode form, as macOS writes it, if there is no `file`."""
    if file.exists() or file == file.parent:
        return file
    parent = _in_other_form(file.parent)
    if not parent.is_dir() or normal(file.name).isascii():
        return parent / file.name
    same = [one for one in parent.iterdir() if normal(one.name) == normal(file.name)]
    return same[0] if len(same) == 1 else parent / file.name


def _check_splits(path: Path, images: Sequence[SourceImage], numbers: Sequence[int]) -> None:
    first: dict[str, tuple[int, str]] = {}
    for number, image in zip(numbers, images, strict=True):
        row, split = first.setdefault(image.label, (number, image.split))
        if split != image.split:
            one, other = (quoted(name) if name else "no split" for name in (split, image.split))
            raise DataError(
                f"{path} has class {quoted(image.label)} in two splits: row {row} says {one}, row {number} {other}; "
                "needs every class in one: few-shot splits are by class; or leave the column split out"
            )
    without = [(row, label) for label, (row, split) in first.items() if not split]
    if 0 < len(without) < len(first):
        row, label = without[0]
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        raise DataError(
            f"{path}, row {row}: class {quoted(label)}{more} has no split, and others have; "
            "needs one for each class, or none"
        )


def _at(path: Path, row: Row) -> str:
    name = row.values["path"]
    return f"{path}, row {row.number}: {quoted(name if len(name) <= SHOWN else f'{name[:SHOWN]}...')}"
