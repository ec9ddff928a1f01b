"""Classes of a gallery: a class is its examples, so it is renamed or deleted with all of them."""

from sqlalchemy import Connection, delete, select, update

from kshot.serve.messages.refusals import Refused, unknown_class
from kshot.serve.store import tables
from kshot.serve.store.galleries import find, raise_revision
from kshot.serve.store.gallery_store import GalleryStore, drop_unused_files, drop_unused_rows

_E = tables.EXAMPLES.c


def rename(store: GalleryStore, gallery: str, name: str, new_name: str, *, merge: bool = False) -> int:
    """Rename a class; into one that exists only with `merge`. Returns the gallery's revision.

    An image that both classes hold stays once. Raises Refused for an unknown class, and for an existing `new_name`.
    """
    with store.database.writing() as connection:
        found = find(connection, gallery)
        moved = _images(connection, found.id, name)
        if not moved:
            raise unknown_class(gallery, name)
        if name == new_name:
            return found.revision
        there = _images(connection, found.id, new_name)
        if there and not merge:
            raise Refused(
                409, "class_exists", f"gallery {gallery!r} has a class {new_name!r}; send merge: true to join the two"
            )
        of_class = (_E.gallery == found.id, _E.class_name == name)
        for sha256 in moved & there:
            connection.execute(delete(tables.EXAMPLES).where(*of_class, _E.sha256 == sha256))
        connection.execute(update(tables.EXAMPLES).where(*of_class).values(class_name=new_name))
        return raise_revision(connection, found.id)


def delete_class(store: GalleryStore, gallery: str, name: str) -> int:
    """Delete a class with its examples. Returns the gallery's new revision. Raises Refused for an unknown class."""
    with store.database.writing() as connection:
        found = find(connection, gallery)
        images = _images(connection, found.id, name)
        if not images:
            raise unknown_class(gallery, name)
        connection.execute(delete(tables.EXAMPLES).where(_E.gallery == found.id, _E.class_name == name))
        drop_unused_rows(connection, images)
        revision = raise_revision(connection, found.id)
    drop_unused_files(store, images)
    return revision


def _images(connection: Connection, gallery: int, name: str) -> set[str]:
    return set(connection.scalars(select(_E.sha256).where(_E.gallery == gallery, _E.class_name == name)))
