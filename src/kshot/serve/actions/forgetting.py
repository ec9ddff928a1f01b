"""The place "galleries" of `kshot forget`: examples and logged requests of the service that show a forgotten image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, select

from kshot.errors import KshotError
from kshot.lifecycle.forget.holding import Forgotten, Holding, Unreached
from kshot.lifecycle.project import layout
from kshot.serve.messages.refusals import Refused
from kshot.serve.request_log import FOLDER, RequestLog, drop_files, open_log
from kshot.serve.settings import ServeSettings
from kshot.serve.store import gallery_store, tables
from kshot.serve.store.embeddings import parts
from kshot.serve.store.galleries import raise_revision
from kshot.serve.store.gallery_store import GalleryStore, drop_unused_files, drop_unused_rows, open_store
from kshot.serve.store.logged_table import LOGGED

EXAMPLE, REQUEST, FILE = "example", "logged request", "image file"
_L, _E, _I = LOGGED.c, tables.EXAMPLES.c, tables.IMAGES.c


@dataclass(frozen=True)
class Galleries:
    """The gallery store of a project, whether its service runs or not. `settings`: where it is."""

    root: Path
    settings: ServeSettings
    name: str = "galleries"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the store's own files are in the project."""
        own = self.root / layout.STATE / gallery_store.FOLDER
        return (own / "images", own / FOLDER)

    def find(self, wanted: Forgotten) -> list[Holding]:
        """Examples and logged requests of these images, by the sha256 of their files."""
        if not self._exists():
            return []
        found: list[Holding] = []
        with self._opened() as (store, log), store.database.reading() as connection:
            for part in parts(sorted(wanted.sha256s)):
                sizes = _sizes(connection, part)
                for number, sha256 in connection.execute(select(_E.id, _E.sha256).where(_E.sha256.in_(part))):
                    found.append(Holding(self.name, EXAMPLE, sha256, f"{number}", sizes.get(sha256, 0)))
                for number, sha256 in connection.execute(select(_L.item, _L.sha256).where(_L.sha256.in_(part))):
                    found.append(Holding(self.name, REQUEST, sha256, f"{number}", 0))
            left = [one for one in sorted(wanted.sha256s) if store.images.has(one) or log.images.has(one)]
            found += [Holding(self.name, FILE, sha256, sha256, 0) for sha256 in left]
        return found

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Delete the examples with their embeddings, the requests, and then the files. A running service notices."""
        sha256s = sorted({one.name for one in holdings})
        if not sha256s or not self._exists():
            return
        with self._opened() as (store, log):
            with store.database.writing() as connection:
                for part in parts(sha256s):
                    _delete_rows(connection, part)
            drop_unused_files(store, sha256s)
            drop_files(log, set(sha256s))

    def _exists(self) -> bool:
        own = self.root / layout.STATE / gallery_store.FOLDER
        return self.settings.database is not None or any(own.glob("galleries.db"))

    @contextmanager
    def _opened(self) -> Iterator[tuple[GalleryStore, RequestLog]]:
        """The store and its log. Raises Unreached."""
        try:
            store = open_store(self.root, self.settings.database, self.settings.images)
            try:
                yield store, open_log(store, self.settings)
            finally:
                store.close()
        except (KshotError, Refused, OSError) as error:
            raise Unreached(f"the galleries cannot be reached: {' '.join(str(error).split())}") from error


def _sizes(connection: Connection, part: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(select(_I.sha256, _I.bytes).where(_I.sha256.in_(part)))
    return {str(sha256): int(size) for sha256, size in rows}


def _delete_rows(connection: Connection, part: Sequence[str]) -> None:
    changed = list(connection.scalars(select(_E.gallery).where(_E.sha256.in_(part)).distinct()))
    connection.execute(delete(tables.EXAMPLES).where(_E.sha256.in_(part)))
    connection.execute(delete(LOGGED).where(_L.sha256.in_(part)))
    drop_unused_rows(connection, part)
    for gallery in changed:
        raise_revision(connection, gallery)
