"""Galleries: create, list, find, change and delete them, and count their classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from kshot.serve.messages.refusals import Refused, unknown_gallery
from kshot.serve.store import tables
from kshot.serve.store.database import Database, now
from kshot.serve.store.gallery_store import GalleryStore, drop_unused_files, drop_unused_rows

_G, _E = tables.GALLERIES.c, tables.EXAMPLES.c
_BY_NAME = select(tables.GALLERIES).where(_G.name == bindparam("name"))


@dataclass(frozen=True)
class NewThreshold:
    """A gallery's new threshold; None is the model's own."""

    value: float | None


@dataclass(frozen=True)
class GalleryRow:
    """A gallery; `unknown_threshold` None is the model's own."""

    id: int
    name: str
    revision: int
    unknown_threshold: float | None
    created: str


def create(store: GalleryStore, name: str) -> GalleryRow:
    """Raises Refused if there is one with this name."""
    row = {"name": name, "revision": 1, "unknown_threshold": None, "created": now()}
    with store.database.writing() as connection:
        _require_free(connection, name)
        number = connection.execute(insert(tables.GALLERIES).values(**row).returning(_G.id)).scalar_one()
    return GalleryRow(int(number), name, 1, None, str(row["created"]))


def find(connection: Connection, name: str) -> GalleryRow:
    """Raises Refused for an unknown name."""
    row = connection.execute(select(tables.GALLERIES).where(_G.name == name)).one_or_none()
    if row is None:
        raise unknown_gallery(name)
    return GalleryRow(*row)


def newest(database: Database, name: str) -> GalleryRow:
    """As `find`, outside a transaction: the question of every request. Raises Refused."""
    row = database.row(_BY_NAME, name=name)
    if row is None:
        raise unknown_gallery(name)
    return GalleryRow(*row)


def listed(connection: Connection) -> list[GalleryRow]:
    """Every gallery by name."""
    return [GalleryRow(*row) for row in connection.execute(select(tables.GALLERIES).order_by(_G.name))]


def class_counts(connection: Connection, gallery: int) -> list[tuple[str, int]]:
    """Each class with its number of examples, by name."""
    counts = select(_E.class_name, func.count()).where(_E.gallery == gallery).group_by(_E.class_name)
    return sorted((str(name), int(count)) for name, count in connection.execute(counts))


def change(
    store: GalleryStore, name: str, *, new_name: str | None = None, threshold: NewThreshold | None = None
) -> GalleryRow:
    """Rename a gallery, or set its threshold, where one is given. Returns it as it is now."""
    values: dict[str, object] = {} if threshold is None else {"unknown_threshold": threshold.value}
    with store.database.writing() as connection:
        found = find(connection, name)
        if new_name is not None and new_name != name:
            _require_free(connection, new_name)
            values["name"] = new_name
        if values:
            connection.execute(update(tables.GALLERIES).where(_G.id == found.id).values(**values))
            raise_revision(connection, found.id)
        return find(connection, new_name or name)


def delete_gallery(store: GalleryStore, name: str) -> None:
    """Delete a gallery with all its examples, and the images that no other gallery has."""
    with store.database.writing() as connection:
        found = find(connection, name)
        images = images_of(connection, found.id)
        connection.execute(delete(tables.EXAMPLES).where(_E.gallery == found.id))
        connection.execute(delete(tables.GALLERIES).where(_G.id == found.id))
        drop_unused_rows(connection, images)
    drop_unused_files(store, images)


def images_of(connection: Connection, gallery: int) -> Sequence[str]:
    """The sha256 of every image in a gallery, once each."""
    return list(connection.scalars(select(_E.sha256).where(_E.gallery == gallery).distinct()))


def raise_revision(connection: Connection, gallery: int) -> int:
    """Count one more change of a gallery, in the transaction of the change. Returns the new revision."""
    raised = update(tables.GALLERIES).where(_G.id == gallery).values(revision=_G.revision + 1)
    return int(connection.execute(raised.returning(_G.revision)).scalar_one())


def _require_free(connection: Connection, name: str) -> None:
    if connection.scalar(select(_G.id).where(_G.name == name)) is not None:
        raise Refused(409, "gallery_exists", f"there is a gallery {name!r} already; choose another name")
