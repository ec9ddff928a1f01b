"""Examples: teach, list, find and delete images of a gallery."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, delete, insert, select

from kshot.serve.refusals import unknown_example
from kshot.serve.store import tables
from kshot.serve.store.database import now
from kshot.serve.store.embeddings import Points, remember
from kshot.serve.store.galleries import find, raise_revision
from kshot.serve.store.gallery_store import GalleryStore, drop_unused_files, drop_unused_rows
from kshot.serve.store.image_files import sha256_of

_E, _I = tables.EXAMPLES.c, tables.IMAGES.c


@dataclass(frozen=True)
class NewImage:
    """An image to teach, already decoded once: `width`, `height` and `media_type` are of its header."""

    class_name: str
    content: bytes
    width: int
    height: int
    media_type: str
    name: str = ""
    request: str | None = None
    sha256: str = ""

    @property
    def digest(self) -> str:
        return self.sha256 or sha256_of(self.content)


@dataclass(frozen=True)
class ExampleRow:
    """A taught image."""

    id: int
    class_name: str
    sha256: str
    name: str
    taught: str
    request: str | None
    bytes: int
    width: int
    height: int
    media_type: str


@dataclass(frozen=True)
class TaughtRows:
    """revision   after the change; the old one if every image was there before
    added      one row a new example, in their order
    already    images that their class held before
    elsewhere  image to the other classes of the gallery that hold it
    """

    revision: int
    added: list[ExampleRow]
    already: list[ExampleRow]
    elsewhere: dict[str, list[str]] = field(default_factory=dict)


_COLUMNS = (
    *(_E.id, _E.class_name, _E.sha256, _E.name, _E.taught, _E.request),
    *(_I.bytes, _I.width, _I.height, _I.media_type),
)
_SELECT = select(*_COLUMNS).join(tables.IMAGES, _E.sha256 == _I.sha256)


def teach(store: GalleryStore, gallery: str, images: Sequence[NewImage], points: Points | None = None) -> TaughtRows:
    """Add the images to their classes, all or none. `points`: their embeddings, which are cached with them.

    An image that its class holds already is not added again. Raises Refused for an unknown gallery.
    """
    for image in images:
        store.images.put(image.digest, image.content)
    added, already, elsewhere = [], [], dict[str, list[str]]()
    with store.database.writing() as connection:
        found = find(connection, gallery)
        for image in images:
            digest = image.digest
            known = _with_image(connection, found.id, digest)
            same = next((row for row in known if row.class_name == image.class_name), None)
            if others := sorted({row.class_name for row in known} - {image.class_name}):
                elsewhere[digest] = others
            if same is not None:
                already.append(same)
                continue
            # Whoever deleted the same image since `put` has removed the file; nobody can now.
            store.images.put(digest, image.content)
            _insert_image(connection, digest, image)
            row = {"gallery": found.id, "class_name": image.class_name, "sha256": digest, "name": image.name}
            row |= {"taught": now(), "request": image.request}
            number = connection.execute(insert(tables.EXAMPLES).values(**row).returning(_E.id)).scalar_one()
            added.append(_row(connection.execute(_SELECT.where(_E.id == number)).one()))
        if points is not None:
            remember(connection, points, {row.sha256 for row in added})
        revision = raise_revision(connection, found.id) if added else found.revision
    return TaughtRows(revision, added, already, elsewhere)


def page(
    connection: Connection, gallery: int, *, class_name: str | None = None, after: int = 0, limit: int = 100
) -> list[ExampleRow]:
    """Up to `limit` examples with ids above `after`, by id."""
    wanted = _SELECT.where(_E.gallery == gallery, _E.id > after).order_by(_E.id).limit(limit)
    if class_name is not None:
        wanted = wanted.where(_E.class_name == class_name)
    return [_row(row) for row in connection.execute(wanted)]


def one(connection: Connection, gallery: int, gallery_name: str, number: int) -> ExampleRow:
    """Raises Refused for an example that is not in the gallery."""
    row = connection.execute(_SELECT.where(_E.gallery == gallery, _E.id == number)).one_or_none()
    if row is None:
        raise unknown_example(gallery_name, number)
    return _row(row)


def delete_example(store: GalleryStore, gallery: str, number: int) -> int:
    """Delete one example, and its image if no other example shows it. Returns the gallery's new revision."""
    with store.database.writing() as connection:
        found = find(connection, gallery)
        row = one(connection, found.id, gallery, number)
        connection.execute(delete(tables.EXAMPLES).where(_E.id == number))
        drop_unused_rows(connection, [row.sha256])
        revision = raise_revision(connection, found.id)
    drop_unused_files(store, [row.sha256])
    return revision


def _with_image(connection: Connection, gallery: int, sha256: str) -> list[ExampleRow]:
    return [_row(row) for row in connection.execute(_SELECT.where(_E.gallery == gallery, _E.sha256 == sha256))]


def _insert_image(connection: Connection, sha256: str, image: NewImage) -> None:
    if connection.scalar(select(_I.sha256).where(_I.sha256 == sha256)) is None:
        values = {"bytes": len(image.content), "width": image.width, "height": image.height}
        connection.execute(insert(tables.IMAGES).values(sha256=sha256, media_type=image.media_type, **values))


def _row(row: Row[tuple[object, ...]]) -> ExampleRow:
    return ExampleRow(*row)
