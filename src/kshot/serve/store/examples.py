"""Examples: teach, list, find and delete images of a gallery."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Row, delete, insert, select

from kshot.serve.messages.refusals import Refused, unknown_example
from kshot.serve.store import tables
from kshot.serve.store.database import now, translated_errors
from kshot.serve.store.embeddings import Points, parts, remember, stored
from kshot.serve.store.galleries import find, raise_revision
from kshot.serve.store.gallery_store import GalleryStore, drop_refused_files, drop_unused_files, drop_unused_rows

_E, _I = tables.EXAMPLES.c, tables.IMAGES.c


@dataclass(frozen=True)
class NewImage:
    """An image to teach, already decoded once: `width`, `height` and `media_type` are of its header.

    content: the bytes of the file, or the path of one; sha256: of the bytes.
    """

    class_name: str
    content: bytes | Path
    sha256: str
    width: int
    height: int
    media_type: str
    name: str = ""
    request: str | None = None

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


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
    several    image to the classes of the gallery that hold it, of each image that is in more than one
    """

    revision: int
    added: list[ExampleRow]
    already: list[ExampleRow]
    several: dict[str, list[str]] = field(default_factory=dict)


_COLUMNS = (
    *(_E.id, _E.class_name, _E.sha256, _E.name, _E.taught, _E.request),
    *(_I.bytes, _I.width, _I.height, _I.media_type),
)
_SELECT = select(*_COLUMNS).join(tables.IMAGES, _E.sha256 == _I.sha256)


def teach(store: GalleryStore, gallery: str, images: Sequence[NewImage], points: Points | None = None) -> TaughtRows:
    """Add the images to their classes, all or none. `points`: their embeddings, which are cached with them.

    An image that its class holds already is not added again. Raises Refused for an unknown gallery, and if the store
    is full or gone; then no file of the images stays.
    """
    try:
        with translated_errors():
            for image in images:
                store.images.put(image.sha256, image.read())
        return _add(store, gallery, images, points)
    except Refused:
        drop_refused_files(store, {image.sha256 for image in images})
        raise


def _add(store: GalleryStore, gallery: str, images: Sequence[NewImage], points: Points | None) -> TaughtRows:
    """Add rows for the images, whose files are stored."""
    digests = sorted({image.sha256 for image in images})
    added, already = [], []
    with store.database.writing() as connection:
        found = find(connection, gallery)
        held, rows = _held(connection, found.id, digests), stored(connection, digests)
        for image in images:
            known = held[image.sha256]
            if image.class_name in known:
                already.append(known[image.class_name])
                continue
            if image.sha256 not in rows:
                _insert_image(connection, image)
                rows.add(image.sha256)
            # Whoever deleted the same image since `put` has removed its file; nobody can now.
            if not store.images.has(image.sha256):
                store.images.put(image.sha256, image.read())
            known[image.class_name] = _insert(connection, found.id, image)
            added.append(known[image.class_name])
        if points is not None:
            remember(connection, points, {row.sha256 for row in added})
        revision = raise_revision(connection, found.id) if added else found.revision
    several = {digest: sorted(classes) for digest, classes in held.items() if len(classes) > 1}
    return TaughtRows(revision, added, already, several)


def page(
    connection: Connection, gallery: int, *, class_name: str | None = None, after: int = 0, limit: int = 100
) -> list[ExampleRow]:
    """Up to `limit` examples with ids above `after`, by id."""
    wanted = _SELECT.where(_E.gallery == gallery, _E.id > after).order_by(_E.id).limit(limit)
    if class_name is not None:
        wanted = wanted.where(_E.class_name == class_name)
    return [_row(row) for row in connection.execute(wanted)]


def is_taught(connection: Connection, gallery: int, number: int) -> bool:
    """Whether the gallery still has the example `number`."""
    return connection.execute(select(_E.id).where(_E.gallery == gallery, _E.id == number)).first() is not None


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


def _held(connection: Connection, gallery: int, images: Sequence[str]) -> defaultdict[str, dict[str, ExampleRow]]:
    """The gallery's examples that show one of the images: sha256 to class to example."""
    found: defaultdict[str, dict[str, ExampleRow]] = defaultdict(dict)
    for part in parts(images):
        for row in map(_row, connection.execute(_SELECT.where(_E.gallery == gallery, _E.sha256.in_(part)))):
            found[row.sha256][row.class_name] = row
    return found


def _insert_image(connection: Connection, image: NewImage) -> None:
    values = {"sha256": image.sha256, "bytes": image.size, "width": image.width, "height": image.height}
    connection.execute(insert(tables.IMAGES).values(media_type=image.media_type, **values))


def _insert(connection: Connection, gallery: int, image: NewImage) -> ExampleRow:
    about = {"class_name": image.class_name, "sha256": image.sha256, "name": image.name, "request": image.request}
    values = {"gallery": gallery, **about, "taught": now()}
    number = connection.execute(insert(tables.EXAMPLES).values(**values).returning(_E.id)).scalar_one()
    return _row(connection.execute(_SELECT.where(_E.id == number)).one())


def _row(row: Row[tuple[object, ...]]) -> ExampleRow:
    return ExampleRow(*row)
