"""Deletes taught images from rows, files, embeddings, memory and the log of requests.

The log goes first. A process that is killed in between has lost logged images of an example that still exists; the
other way round, a deleted example's image would stay in the log, and nobody would delete it.
"""

from collections.abc import Collection

from sqlalchemy import select

from kshot.serve import request_log
from kshot.serve.service import GalleryService
from kshot.serve.store import classes, examples, galleries, tables

_E = tables.EXAMPLES.c


def delete_example(service: GalleryService, gallery: str, number: int) -> int:
    """Delete one example. Returns the gallery's new revision. Raises Refused."""
    with service.store.database.reading() as connection:
        found = galleries.find(connection, gallery)
        images = {examples.one(connection, found.id, gallery, number).sha256}
        # Another example may show the same image, as another class: it stays, with its logged requests.
        which = (_E.gallery == found.id, _E.sha256.in_(images), _E.id != number)
        images -= set(connection.scalars(select(_E.sha256).where(*which)))
    request_log.forget_images(service.log, found.id, images)
    revision = examples.delete_example(service.store, gallery, number)
    _forgotten(service, found.id, images)
    return revision


def delete_class(service: GalleryService, gallery: str, class_name: str) -> int:
    """Delete a class with its examples. Returns the gallery's new revision. Raises Refused."""
    with service.store.database.reading() as connection:
        found = galleries.find(connection, gallery)
        shown = select(_E.sha256).where(_E.gallery == found.id)
        images = set(connection.scalars(shown.where(_E.class_name == class_name)))
        images -= set(connection.scalars(shown.where(_E.class_name != class_name)))
    request_log.forget_images(service.log, found.id, images)
    revision = classes.delete_class(service.store, gallery, class_name)
    _forgotten(service, found.id, images)
    return revision


def delete_gallery(service: GalleryService, gallery: str) -> None:
    """Delete a gallery with everything in it, and its logged requests. Raises Refused."""
    with service.store.database.reading() as connection:
        found = galleries.find(connection, gallery)
    request_log.forget_images(service.log, found.id, None)
    galleries.delete_gallery(service.store, gallery)
    _forgotten(service, found.id, None)


def _forgotten(service: GalleryService, gallery: int, images: Collection[str] | None) -> None:
    service.drop_deleted()
    service.log.forget_later(gallery, images)
