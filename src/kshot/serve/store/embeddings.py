"""Cached embeddings of stored images: one row per image and model. They can be deleted and computed again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from kshot.serve.store import tables

_P = tables.EMBEDDINGS.c
AT_ONCE = 500  # keys in one query: SQLite and drivers limit their number
Point = NDArray[np.float32]


@dataclass(frozen=True)
class Points:
    """Embeddings by one model. `model`: the sha256 of its files; `of`: image's sha256 to its point, float32 (D,)."""

    model: str
    of: Mapping[str, Point]


def load(connection: Connection, model: str, images: Sequence[str]) -> dict[str, Point]:
    """The cached embeddings of those images; the others are not in the result."""
    found: dict[str, Point] = {}
    for part in parts(images):
        rows = select(_P.sha256, _P.point).where(_P.model == model, _P.sha256.in_(part))
        found |= {str(sha256): np.frombuffer(point, dtype="<f4") for sha256, point in connection.execute(rows)}
    return found


def remember(connection: Connection, points: Points, images: Collection[str]) -> None:
    """Store the embeddings of those images, which must have a row, unless they are there."""
    wanted = sorted(set(images) & points.of.keys())
    known = load(connection, points.model, wanted)
    rows = [
        {"sha256": sha256, "model": points.model, "point": np.ascontiguousarray(points.of[sha256], "<f4").tobytes()}
        for sha256 in wanted
        if sha256 not in known
    ]
    if rows:
        connection.execute(insert(tables.EMBEDDINGS), rows)


def stored(connection: Connection, images: Sequence[str]) -> set[str]:
    """The sha256 of those `images` that are stored."""
    column = tables.IMAGES.c.sha256
    return {str(one) for part in parts(images) for one in connection.scalars(select(column).where(column.in_(part)))}


def forget_others(connection: Connection, models: Collection[str]) -> None:
    """Delete the embeddings by all other models."""
    connection.execute(delete(tables.EMBEDDINGS).where(_P.model.not_in(sorted(models))))


def parts(images: Sequence[str]) -> Iterator[Sequence[str]]:
    """The images in lists that one query each can name."""
    yield from (images[start : start + AT_ONCE] for start in range(0, len(images), AT_ONCE))
