"""Unpacks parquet files that hold the images themselves, one a row, as Hugging Face's data sets do."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kshot.data.image_formats import suffix_of
from kshot.data.splits import split_named
from kshot.errors import DataError
from kshot.first_few import first_few
from kshot.lifecycle.source_files.archives import LARGEST_RATIO, SMALL
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.source_files.tables import ELSEWHERE
from kshot.lifecycle.sources.source_image import SourceImage, check_names, group_of, normal

AT_ONCE = 64  # rows in memory
UNLABELLED = "-1"  # what Hugging Face has for the class of an image whose class is not public


class _Columns(NamedTuple):
    """The columns that are read, and the class names that Hugging Face stores beside numbers."""

    image: str
    label: str
    names: Sequence[str]


def image_tables(files: Sequence[Path]) -> list[Path]:
    """Those of the files that are parquet with images."""
    from kshot.lifecycle.source_files.parquet_table import image_columns  # here, as it imports pandas

    found = []
    for file in files:
        if file.suffix.lower() == ".parquet":
            with suppress(OSError, ValueError):
                found += [file] if image_columns(file) else []
    return found


def unpack_tables(tables: Sequence[Path], folder: Path, *, unlabelled: bool) -> tuple[list[SourceImage], list[str]]:
    """Write every image below `folder` as TABLE-ROW.ENDING, and return the images with notes on how they were read.

    If the tables are called train, val and test and no class is in two of them, they are the split. With `unlabelled`
    no table needs a class. Raises DataError for tables without classes, and a name that cannot be stored.
    """
    images: list[SourceImage] = []
    notes: list[str] = []
    splits: defaultdict[str, set[str]] = defaultdict(set)
    without = 0
    for number, table in enumerate(tables):
        columns = _columns(table, unlabelled)
        split = split_named(table.stem.split("-")[0]) or split_named(table.parent.name) or ""
        place = folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        note = f"{printable(table.name)} holds the images (column {columns.image}"
        notes.append(note + (f"), and their classes (column {columns.label})" if columns.label else ")"))
        written = 0
        for row, content, label in _rows(table, columns):
            if columns.label and not label:
                without += 1
                continue
            check_names([(f"{table}, row {row}: class", label)] if label else [])
            written += len(content)
            if written > max(SMALL, LARGEST_RATIO * table.stat().st_size):
                raise DataError(f"{table} has images of over {LARGEST_RATIO} times its size; needs a sound table")
            file = place / f"{table.stem}-{row}{suffix_of(content)}"
            file.write_bytes(content)
            images.append(SourceImage(file, label, group_of(label), split))
            splits[split].add(label)
    if without:
        notes.append(f"{without:,} rows have no class (nothing, or -1), and are not read")
    return _with_splits(images, splits), _few(notes)


def _with_splits(images: list[SourceImage], splits: dict[str, set[str]]) -> list[SourceImage]:
    """The images with the tables' split if it divides the classes, else without one."""
    apart = (
        "" not in splits and len(splits) > 1 and sum(map(len, splits.values())) == len(set().union(*splits.values()))
    )
    return images if apart else [replace(image, split="") for image in images]


def _few(notes: list[str]) -> list[str]:
    return notes if len(notes) <= 3 else [notes[0], f"so do {len(notes) - 1} more tables"]


def _rows(table: Path, columns: _Columns) -> Iterator[tuple[int, bytes, str]]:
    """Number, image and class of each row; the first is row 1."""
    import pyarrow.parquet as pq

    from kshot.lifecycle.source_files.parquet_table import as_text

    row = 0
    wanted = [name for name in (columns.image, columns.label) if name]
    for batch in pq.ParquetFile(table).iter_batches(AT_ONCE, columns=wanted):
        for values in batch.to_pylist():
            row += 1
            content = values[columns.image]
            content = content.get("bytes") if isinstance(content, dict) else content
            if not content:
                raise DataError(f"{table}, row {row} has no image in column {columns.image}; delete the row")
            text = as_text(values[columns.label]) if columns.label else ""
            yield row, content, _label(text, columns, f"{table}, row {row}")


def _label(text: str, columns: _Columns, where: str) -> str:
    """The name of a class; '' for none. Raises DataError for a number without a name."""
    if not columns.names:
        return normal(text)
    if text in ("", UNLABELLED):
        return ""
    if not text.isdecimal() or int(text) >= len(columns.names):
        raise DataError(
            f"{where} has class {text} in column {columns.label}; needs 0 to {len(columns.names) - 1}, the "
            "classes that the file's metadata names"
        )
    return normal(columns.names[int(text)])


def _columns(table: Path, unlabelled: bool) -> _Columns:
    import pyarrow.parquet as pq

    from kshot.lifecycle.source_files.parquet_table import image_columns

    images = image_columns(table)
    image = images[0] if len(images) == 1 else next((one for one in images if one.casefold() in ELSEWHERE["path"]), "")
    if not image:
        raise DataError(
            f"{table} has images in {len(images)} columns ({first_few(images)}); call the one to read image"
        )
    schema = pq.read_schema(table)
    features: dict[str, Any] = {}
    with suppress(KeyError, TypeError, ValueError):
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    named = {name: one["names"] for name, one in features.items() if isinstance(one, dict) and one.get("names")}
    known = [name for name in schema.names if name.casefold() in ("class", *ELSEWHERE["class"])] or list(named)
    if len(known) != 1 and not unlabelled:
        raise DataError(
            f"{table} holds the images themselves (column {image}), and {'several columns' if known else 'no column'} "
            f"for their class; it has {', '.join(schema.names)}: call the one with the class label"
        )
    label = known[0] if len(known) == 1 else ""
    return _Columns(image, label, named.get(label, ()))
