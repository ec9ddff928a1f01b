"""Reads a parquet file, and its columns as text. Apart from `tables`, because pandas is slow to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(path: Path) -> pd.DataFrame:
    """The table of a parquet file, with a named index as columns."""
    table = pd.read_parquet(path)
    return table.reset_index() if any(table.index.names) else table


def image_columns(path: Path) -> list[str]:
    """The columns of bytes, or of structs such as Hugging Face's {bytes, path}, of a file without a column path.

    Only the file's schema is read. Raises ValueError for a file that is not parquet.
    """
    schema = pq.read_schema(path)
    if "path" in {name.strip().casefold() for name in schema.names}:
        return []
    return [
        str(column.name)
        for column in schema
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type) or pa.types.is_struct(column.type)
    ]


def text_columns(table: pd.DataFrame, places: Mapping[str, int]) -> dict[str, list[str]]:
    """The named columns, each at its position in the table, with their values as text."""
    texts: dict[str, list[str]] = {}
    for name, at in places.items():
        try:
            texts[name] = [as_text(value) for value in table.iloc[:, at].astype(object)]
        except ValueError as error:
            raise ValueError(f"column {name}: {error}") from error
    return texts


def as_text(value: Any) -> str:
    """A value as text in a CSV: integral floats without a point, '' if it is missing.

    Raises ValueError for a list or a struct.
    """
    if isinstance(value, list | tuple | dict | np.ndarray):
        raise ValueError(f"it holds {str(value)[:40]}, where one value a row is needed")
    if isinstance(value, bytes):
        return value.decode("utf-8").strip()
    if not isinstance(value, str) and pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
