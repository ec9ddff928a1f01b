"""Reads a table row by row, with values as text: a CSV with any separator, or a parquet file."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kshot.errors import DataError

TABLES = (".csv", ".tsv", ".parquet")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
SEPARATORS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
WITH_IMAGES = "holds the images themselves (column {column}): add that table as the source itself"
# Names of these columns in other programs' tables.
ELSEWHERE = {
    "path": (
        "id",
        "image_id",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "img",
        "img_path",
    ),
    "class": ("label", "class_name", "category", "species", "target"),
    "split": ("set", "subset", "partition", "fold"),
}


class Row(NamedTuple):
    """A row. `number`: in a CSV the line, the header being 1; in a parquet file the row, the first being 1."""

    number: int
    values: Mapping[str, str]


def read_rows(path: Path, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[Row]:
    """The rows of a table with these columns; '' for a missing value, and throughout a missing optional column.

    Case of column names, and blanks around names and values, are ignored. Raises DataError for a file that is not a
    table with these columns, naming the row and the cause.
    """
    if is_compressed(path):
        raise DataError(f"{path} is a compressed table; unpack it, and give {path.with_suffix('')}")
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path, needed, optional)
        return list(_read_csv(path, needed, optional))
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as a table ({cause}); needs the columns {', '.join(needed)}") from error


def read_columns(path: Path) -> list[str]:
    """The names of the columns of a table that `read_rows` has read."""
    if path.suffix.lower() == ".parquet":
        from kshot.lifecycle.source_files.parquet_table import read_parquet  # here, as it imports pandas

        return [str(name) for name in read_parquet(path).columns]
    text, _, separators = _separated(path)
    return _begin(text, separators, ("path",))[1]


def is_compressed(path: Path) -> bool:
    """Whether `path` is named like a table that was compressed, such as birds.csv.gz."""
    return path.suffix.lower() in COMPRESSED and path.with_suffix("").suffix.lower() in TABLES


def _read_csv(path: Path, needed: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[Row]:
    text, skipped, separators = _separated(path)
    reader, header = _begin(text, separators, needed)
    places = _places(path, header, needed, optional)
    number = 0
    try:
        for values in reader:
            number = reader.line_num + skipped
            if not any(value.strip() for value in values):
                continue
            if any(value.strip() for value in values[len(header) :]):
                raise DataError(
                    f"{path}, row {number}: {len(values)} values for {len(header)} columns; needs a value that holds "
                    "the separator in double quotes"
                )
            yield Row(number, {name: values[at].strip() if at < len(values) else "" for name, at in places.items()})
    except csv.Error as error:
        raise DataError(f"{path}, row {reader.line_num + skipped}: {error}; mend the quotes there") from error


def _separated(path: Path) -> tuple[str, int, tuple[str, ...]]:
    """The text of a CSV without a line for Excel, how many lines that were, and the separators to try."""
    text = _decoded(path)
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # a line meant for Excel
        return rest, 1, (first[4],)
    return text, 0, SEPARATORS


def _begin(text: str, separators: tuple[str, ...], needed: tuple[str, ...]) -> tuple[Any, list[str]]:
    """A reader positioned after the header, and the header; the separator is the one that yields the needed
    columns, else the most columns."""
    tried = []
    for separator in separators:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        try:
            header = next((values for values in reader if any(value.strip() for value in values)), [])
        except csv.Error:
            continue
        header = [name.strip() for name in header]
        if {name.casefold() for name in header} >= set(needed):
            return reader, header
        tried.append((len(header), reader, header))
    if not tried or not max(count for count, _, _ in tried):
        raise ValueError("it has no header line")
    _, reader, header = max(tried, key=lambda one: one[0])
    return reader, header


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, row {row}: no valid {encoding}; save the table as CSV in UTF-8") from error
    if "\0" in text:
        raise ValueError("it holds zero bytes, so it is no text")
    return text


def _read_parquet(path: Path, needed: tuple[str, ...], optional: tuple[str, ...]) -> list[Row]:
    from kshot.lifecycle.source_files.parquet_table import (
        image_columns,
        read_parquet,
        text_columns,
    )  # here, as it imports pandas

    images = image_columns(path)
    if images and "path" in needed:
        raise DataError(f"{path} {WITH_IMAGES.format(column=images[0])}")
    table = read_parquet(path)
    places = _places(path, [str(name) for name in table.columns], needed, optional)
    columns = text_columns(table, places)
    return [Row(row + 1, {name: values[row] for name, values in columns.items()}) for row in range(len(table))]


def _places(path: Path, header: list[str], needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, int]:
    """Each column with its position; an exact name takes precedence over one in another case."""
    names = [name.strip() for name in header]
    folded = [name.casefold() for name in names]
    if missing := [column for column in needed if column not in folded]:
        raise DataError(_without_columns(path, names, needed, missing))
    every = [column for column in (*needed, *optional) if column in folded]
    for column in every:
        if names.count(column) > 1 or (column not in names and folded.count(column) > 1):
            raise DataError(f"{path} has the column {column} twice; needs each once: rename or delete the other")
    return {column: names.index(column) if column in names else folded.index(column) for column in every}


def _without_columns(path: Path, names: list[str], needed: tuple[str, ...], missing: list[str]) -> str:
    """The message for missing columns, with the columns that other programs give these names."""
    where = "" if path.suffix.lower() == ".parquet" else ", named in its first line"
    found = {
        column: next((name for name in names if name.casefold() in ELSEWHERE.get(column, ())), "") for column in missing
    }
    renamed = ", ".join(f"{name} to {column}" for column, name in found.items() if name)
    return (
        f"{path} has the columns {', '.join(filter(None, names))}; needs {', '.join(needed)}{where}"
        f"{f': rename {renamed}' if renamed else ''}"
    )
