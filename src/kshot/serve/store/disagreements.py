"""Counts how often the served version and its shadow gave the same image different labels, by pair of versions."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from kshot.serve.store import tables
from kshot.serve.store.gallery_store import GalleryStore

_D = tables.DISAGREEMENTS.c


@dataclass(frozen=True)
class Disagreement:
    """images: recognised by both; differ: those with another label."""

    version: str
    shadow: str
    images: int
    differ: int


def add(store: GalleryStore, version: str, shadow: str, images: int, differ: int) -> None:
    """Count the images of one request."""
    pair = (_D.version == version, _D.shadow == shadow)
    with store.database.writing() as connection:
        more = {"images": _D.images + images, "differ": _D.differ + differ}
        if connection.execute(update(tables.DISAGREEMENTS).where(*pair).values(**more)).rowcount == 0:
            values = {"version": version, "shadow": shadow, "images": images, "differ": differ}
            connection.execute(insert(tables.DISAGREEMENTS).values(**values))


def listed(connection: Connection) -> list[Disagreement]:
    """Every pair of versions that recognised the same images."""
    rows = connection.execute(select(tables.DISAGREEMENTS).order_by(_D.version, _D.shadow))
    return [Disagreement(*row) for row in rows]
