"""The gallery store of a project, opened: its database and its image files."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Connection, delete, exists, insert, select

from kshot.errors import KshotError
from kshot.lifecycle.project.private_state import private_state
from kshot.redaction import redacted
from kshot.serve.messages.refusals import Refused
from kshot.serve.store import tables
from kshot.serve.store.database import Database, open_database, translated_errors
from kshot.serve.store.image_files import AddressImages, ImageFiles, open_images

FOLDER = "serve"  # in .kshot
SCRATCH = ".scratch-"  # and the process id


@dataclass(frozen=True)
class GalleryStore:
    """folder: the private folder of the service, for its copies and temporary files."""

    database: Database
    images: ImageFiles
    folder: Path

    def close(self) -> None:
        self.database.close()


def open_store(root: Path, database: str | None = None, images: str | None = None) -> GalleryStore:
    """The store of the project at `root`: by default SQLite and files in .kshot/serve/.

    database: an SQLAlchemy URL; images: an fsspec address. Raises KshotError for one that cannot be opened, and for
    images of another database.
    """
    folder = private_state(root) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    address = database or f"sqlite:///{(folder / 'galleries.db').resolve()}"
    store = GalleryStore(open_database(address), open_images(images, folder / "images"), folder)
    try:
        if isinstance(store.images, AddressImages):
            _require_own(store.database, store.images, str(images))
    except BaseException:
        store.close()
        raise
    return store


def _require_own(database: Database, images: AddressImages, address: str) -> None:
    """Raise KshotError unless the images at the address are this database's: `sweep` would delete those of another.

    The first database claims an address that has no images, or some of its own.
    """
    with database.writing() as connection:
        own = connection.scalar(select(tables.OWNER.c.id))
        if own is None:
            own = secrets.token_hex(16)
            connection.execute(insert(tables.OWNER).values(id=own))
        owner, column = images.owner(), tables.IMAGES.c.sha256
        if not owner:
            known = set(connection.scalars(select(column)))
            left = set(images.all())
            if not left or left & known:
                images.claim(own)
                owner = own
    if owner != own:
        raise KshotError(
            f"the images at {redacted(address)} belong to another gallery store than this database, which would delete "
            "them: give the --database that they were taught with, or another --images"
        )


def drop_unused_rows(connection: Connection, candidates: Collection[str]) -> None:
    """Delete the rows and embeddings of those images that nothing refers to any more."""
    used = exists().where(tables.EXAMPLES.c.sha256 == tables.IMAGES.c.sha256)
    for sha256 in candidates:
        connection.execute(delete(tables.IMAGES).where(tables.IMAGES.c.sha256 == sha256, ~used))


def drop_unused_files(store: GalleryStore, candidates: Collection[str]) -> None:
    """Delete the files of those images that have no row any more: the second half of a deletion, after its commit."""
    if not candidates:
        return
    with store.database.writing() as connection:
        _drop_files_without_row(store, connection, candidates)
    store.database.forget()


def drop_refused_files(store: GalleryStore, candidates: Collection[str]) -> None:
    """Delete the files that a refused change has stored. While the database is gone they stay until `sweep`."""
    with suppress(Refused), store.database.writing() as connection:
        _drop_files_without_row(store, connection, candidates)


def _drop_files_without_row(store: GalleryStore, connection: Connection, candidates: Collection[str]) -> None:
    """As the only writer: nobody can teach the same image between the look and the deletion."""
    for sha256 in candidates:
        if connection.scalar(select(tables.IMAGES.c.sha256).where(tables.IMAGES.c.sha256 == sha256)) is None:
            store.images.delete(sha256)


def scratch(store: GalleryStore) -> Path:
    """A new folder for files of one request, which `sweep` deletes if this process is killed. Raises Refused."""
    with translated_errors():
        return Path(tempfile.mkdtemp(dir=store.folder, prefix=f"{SCRATCH}{os.getpid()}-"))


def sweep(store: GalleryStore) -> int:
    """Delete the files that no row names, and the scratch folders, of killed processes. Returns their number."""
    with store.database.writing() as connection:
        known = set(connection.scalars(select(tables.IMAGES.c.sha256)))
        left = [name for name in store.images.all() if name not in known]
        for name in left:
            store.images.delete(name)
    dead = [
        folder
        for folder in store.folder.glob(f"{SCRATCH}*")
        if not psutil.pid_exists(int(folder.name.removeprefix(SCRATCH).partition("-")[0]))
    ]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left) + len(dead)
