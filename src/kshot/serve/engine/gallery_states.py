"""The galleries as one model sees them: each is embedded at its first use, and again after a change."""

import threading
from collections import defaultdict
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from kshot.data.image_formats import LARGEST
from kshot.serve.engine.decoding import SentImage, prepare_images
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.gallery_state import GalleryState, gallery_state
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.messages.refusals import Refused, store_unreachable
from kshot.serve.store import tables
from kshot.serve.store.embeddings import Point, Points, load, remember, stored
from kshot.serve.store.galleries import GalleryRow, find, listed, newest
from kshot.serve.store.gallery_store import GalleryStore

AT_ONCE = 64  # images that are read from the store and embedded together
ROUNDS = 5  # passes over galleries that change while they are embedded
_E = tables.EXAMPLES.c


@dataclass(frozen=True)
class Changed:
    """The current content of a gallery. rows: (id, class, sha256) of its examples."""

    gallery: GalleryRow
    rows: list[tuple[int, str, str]]
    points: dict[str, Point]


class GalleryStates:
    """The newest state of each gallery, for one model. Threads may call it at once."""

    def __init__(self, store: GalleryStore, queue: EmbeddingQueue, pool: Executor, version: ServedVersion) -> None:
        self.store, self.queue, self.pool, self.version = store, queue, pool, version
        self.lost: dict[str, int] = {}  # gallery to the number of its images whose files are gone
        self._states: dict[int, GalleryState] = {}
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def get(self, name: str) -> GalleryState:
        """The state of a gallery at its newest revision. Raises Refused for an unknown gallery.

        While the database cannot be reached it is the state that was last seen.
        """
        try:
            row = newest(self.store.database, name)
        except Refused as refused:
            seen = [state for state in list(self._states.values()) if state.gallery.name == name]
            if refused.code != "store_unreachable" or not seen:
                raise
            return seen[-1]
        state = self._states.get(row.id)
        return state if state is not None and state.gallery == row else self._build(row.id, name)

    def in_memory(self, name: str) -> GalleryState | None:
        """As `get`, where that is one look into the embedded database; None for anything that takes longer or fails."""
        if not self.store.database.is_sqlite:
            return None
        try:
            row = newest(self.store.database, name)
        except Refused:
            return None
        state = self._states.get(row.id)
        return state if state is not None and state.gallery == row else None

    def drop_deleted(self) -> None:
        """Forget the states that hold what is deleted, by whichever process. Raises Refused without the database."""
        with self.store.database.reading() as connection:
            rows = {row.id: row for row in listed(connection)}
            for number, state in list(self._states.items()):
                row = rows.get(number)
                if row == state.gallery:
                    continue
                taught = set(connection.scalars(select(_E.id).where(_E.gallery == number))) if row is not None else None
                if taught is None or not taught.issuperset(state.ids.tolist()):
                    self._states.pop(number, None)
        for name in self.lost.keys() - {row.name for row in rows.values()}:
            self.lost.pop(name, None)

    def build_all(self) -> int:
        """Bring every gallery to its newest revision; returns how many of them were not."""
        with self.store.database.reading() as connection:
            rows = listed(connection)
        for gone in set(self._states) - {row.id for row in rows}:
            self._states.pop(gone, None)
        old = [row for row in rows if (state := self._states.get(row.id)) is None or state.gallery != row]
        for row in old:
            try:
                self._build(row.id, row.name, background=True)
            except Refused as refused:
                if refused.code != "unknown_gallery":  # renamed or deleted meanwhile
                    raise
        return len(old)

    def follow_changes(self) -> None:
        """As `build_all`, again until nothing changes any more: before the service switches to this model."""
        for _ in range(ROUNDS):
            if not self.build_all():
                return

    def _build(self, number: int, name: str, *, background: bool = False) -> GalleryState:
        with self._locks[number]:
            while True:
                found = self._read(name)
                state = self._states.get(found.gallery.id)
                if state is not None and state.gallery == found.gallery:
                    return state
                lost = self._embed_missing(found, background=background)
                rows = [row for row in found.rows if row[2] not in lost]
                if lost and self._read(name).gallery != found.gallery:
                    continue  # they were deleted meanwhile
                self.lost[name] = len(lost)
                points = np.stack([found.points[sha256] for _, _, sha256 in rows]) if rows else self._no_points()
                state = gallery_state(found.gallery, rows, points, self.version.centre, self.version.distance)
                self._states[found.gallery.id] = state
                return state

    def _read(self, name: str) -> Changed:
        """The gallery's newest examples, with the embeddings that are in memory or cached."""
        with self.store.database.reading() as connection:
            gallery = find(connection, name)
            rows = _contents(connection, gallery.id)
            state, images = self._states.get(gallery.id), {sha256 for _, _, sha256 in rows}
            points: dict[str, Point] = {}
            if state is not None:
                points = {one: state.points[place] for place, one in enumerate(state.images) if one in images}
            if self.version.has_fixed_embedding:
                points |= load(connection, self.version.key, sorted(images - points.keys()))
        return Changed(gallery, rows, points)

    def _embed_missing(self, found: Changed, *, background: bool) -> set[str]:
        """Embed the images without an embedding, and cache it. Returns those whose file is gone."""
        missing = sorted({sha256 for _, _, sha256 in found.rows} - found.points.keys())
        lost: set[str] = set()
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            sent = []
            for sha256 in part:
                try:
                    sent.append(SentImage(self.store.images.read(sha256), sha256))
                except FileNotFoundError:
                    lost.add(sha256)
                except OSError as error:
                    raise store_unreachable(error.strerror or str(error)) from error
            if not sent:
                continue
            prepared = prepare_images(sent, self.version.model.ingest, LARGEST, self.pool)
            pixels = np.stack([one.pixels for one in prepared])
            points = self.queue.embed(self.version.model.method, pixels, background=background)
            fresh = {image.name: point for image, point in zip(sent, points, strict=True)}
            found.points.update(fresh)
            self._remember(fresh)
        return lost

    def _remember(self, fresh: dict[str, Point]) -> None:
        if not self.version.has_fixed_embedding:
            return  # an embedding of pixels is not worth the room
        with self.store.database.writing() as connection:
            remember(connection, Points(self.version.key, fresh), stored(connection, sorted(fresh)))

    def _no_points(self) -> Point:
        return np.empty((0, self.version.model.method.dim), dtype=np.float32)


def _contents(connection: Connection, gallery: int) -> list[tuple[int, str, str]]:
    rows = select(_E.id, _E.class_name, _E.sha256).where(_E.gallery == gallery)
    return [(int(number), str(name), str(sha256)) for number, name, sha256 in connection.execute(rows)]
