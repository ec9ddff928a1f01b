"""The log of requests: stores images that the setting `log` selects with their predictions, bounded by number and age.

The service calls `RequestLog.offer` after its response; a thread of the log writes, so that no request waits for it.
Its table (`kshot.serve.store.logged_table`) and image files are its own. A deleted gallery takes its logged requests
with it, a deleted example its own image (`kshot.serve.actions.deleting`).
"""

import contextlib
import logging
import queue
import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from kshot import full_disk
from kshot.serve.messages.recognise_messages import Result
from kshot.serve.messages.refusals import Refused
from kshot.serve.store import tables
from kshot.serve.store.database import Database, now
from kshot.serve.store.embeddings import parts
from kshot.serve.store.gallery_store import GalleryStore
from kshot.serve.store.image_files import ImageFiles, open_images, sha256_of
from kshot.serve.store.logged_table import LOGGED, METADATA

FOLDER = "asked"  # in the service's folder; the name that existing ones have
WAITING_BYTES = 256 * 2**20  # of images that wait to be written; what comes beyond is not logged
PRUNE_EVERY = 50  # recorded requests between two looks at the bounds
_L = LOGGED.c
_LOG = logging.getLogger(__name__)


class LogSettings(Protocol):
    """The settings of the service that the log reads."""

    @property
    def log(self) -> Literal["off", "all", "unknown", "sample"]: ...
    @property
    def log_share(self) -> float: ...
    @property
    def log_images(self) -> int: ...
    @property
    def log_days(self) -> float: ...
    @property
    def images(self) -> str | None: ...


@dataclass(frozen=True)
class RecognisedRequest:
    """A request with its predictions: `images` are the files as they were sent, one a result."""

    gallery: str
    id: str
    model_version: str
    revision: int
    results: Sequence[Result]
    images: Sequence[bytes]


@dataclass
class RequestLog:
    """The open log of a store. `settings.log` off: nothing is recorded, and what was recorded before stays readable."""

    database: Database
    images: ImageFiles
    settings: LogSettings
    trouble: str = ""  # why the last request was not logged; "" once one is written
    dropped: int = 0  # requests that were not logged because too many waited
    _tasks: "queue.Queue[Callable[[], object] | None]" = field(default_factory=queue.Queue)
    _waiting: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None
    _recorded: int = 0

    def offer(self, request: RecognisedRequest) -> None:
        """Record a request soon, if the settings name it. Returns at once and raises nothing."""
        places = self._wanted(request)
        if not places:
            return
        size = sum(len(request.images[place]) for place in places)
        with self._lock:
            if self._waiting + size > WAITING_BYTES:
                self.dropped += 1
                self.trouble = "requests come faster than they can be logged"
                return
            self._waiting += size
        self._submit(lambda: self._record(request, places, size))

    def offer_challenger(self, request: str, labels: Sequence[str]) -> None:
        """Record the shadow model's labels of a request, one an image, unless the request was not logged."""
        if self.settings.log != "off":
            self._submit(lambda: self._record_challenger(request, labels))

    def forget_later(self, gallery: int, images: Collection[str] | None) -> None:
        """As `forget_images`, once more after the requests that still wait to be written."""
        if self.settings.log != "off":
            self._submit(lambda: forget_images(self, gallery, images))

    def stop(self) -> None:
        """Write the waiting requests, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._tasks.put(None)
            thread.join()

    def prune(self) -> int:
        """Delete what is beyond the bounds: old items, then the oldest without a label. Returns their number."""
        oldest = (datetime.now(UTC) - timedelta(days=self.settings.log_days)).isoformat(timespec="microseconds")
        gone: set[str] = set()
        count = 0
        with self.database.writing() as connection:

            def delete_where(which: ColumnElement[bool]) -> int:
                gone.update(connection.scalars(select(_L.sha256).where(which)))
                return connection.execute(delete(LOGGED).where(which)).rowcount

            count += delete_where(_L.asked < oldest)
            count += delete_where(_L.gallery.not_in(select(tables.GALLERIES.c.id)))
            # Counted now: what is gone by its age makes room for the rest.
            over = (connection.scalar(select(func.count()).select_from(LOGGED)) or 0) - self.settings.log_images
            first = select(_L.item).order_by(_L.given.is_not(None), _L.item).limit(max(over, 0))
            count += delete_where(_L.item.in_(first))
        drop_files(self, gone)
        return count

    def _wanted(self, request: RecognisedRequest) -> list[int]:
        kind = self.settings.log
        if kind == "off" or (kind == "sample" and random.random() >= self.settings.log_share):
            return []
        return [place for place, one in enumerate(request.results) if kind != "unknown" or one.unknown]

    def _submit(self, task: Callable[[], object]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
                self._thread.start()
            self._tasks.put(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except (Refused, OSError) as error:  # without the store the service continues, without its log
                is_full = isinstance(error, OSError) and full_disk.is_full(error)
                self.trouble = f"requests are not logged: {'the disk is full' if is_full else error}"
                _LOG.warning("a request was not logged: %s", error)
            except Exception as error:  # a bucket's client has errors of its own; the thread must outlive them
                self.trouble = f"requests are not logged: {type(error).__name__}"
                _LOG.exception("a request was not logged")

    def _record(self, request: RecognisedRequest, places: Sequence[int], size: int) -> None:
        try:
            record(self, request, places)
        finally:
            with self._lock:
                self._waiting -= size
        self.trouble = ""
        self._recorded += 1
        if self._recorded % PRUNE_EVERY == 1:
            self.prune()

    def _record_challenger(self, request: str, labels: Sequence[str]) -> None:
        with self.database.writing() as connection:
            for place, label in enumerate(labels):
                which = (_L.request == request, _L.place == place)
                connection.execute(update(LOGGED).where(*which).values(challenger=label))


def open_log(store: GalleryStore, settings: LogSettings) -> RequestLog:
    """The log in the store's database, with its images next to the store's."""
    with store.database.writing() as connection:
        METADATA.create_all(connection)
    address = f"{settings.images.rstrip('/')}-{FOLDER}" if settings.images else None
    log = RequestLog(store.database, open_images(address, store.folder / FOLDER), settings)
    with store.database.reading() as connection:
        named = set(connection.scalars(select(_L.sha256)))
    drop_files(log, set(log.images.all()) - named)  # which a killed process has left
    return log


def record(log: RequestLog, request: RecognisedRequest, places: Sequence[int]) -> None:
    """Write the images at these places of a request, with their predictions. A gallery that is gone takes none."""
    digests = {place: sha256_of(request.images[place]) for place in places}
    for place in places:
        log.images.put(digests[place], request.images[place])
    with log.database.writing() as connection:
        which = tables.GALLERIES.c.name == request.gallery
        gallery = connection.scalar(select(tables.GALLERIES.c.id).where(which))
        if gallery is not None:
            shared = {
                "request": request.id,
                "gallery": gallery,
                "asked": now(),
                "model_version": request.model_version,
                "revision": request.revision,
            }
            rows = [shared | _prediction(request.results[place], place, digests[place]) for place in places]
            connection.execute(insert(LOGGED), rows)
            for place in places:  # another process may have pruned the same image meanwhile
                log.images.put(digests[place], request.images[place])
    if gallery is None:
        drop_files(log, set(digests.values()))


def forget_images(log: RequestLog, gallery: int, images: Collection[str] | None) -> int:
    """Delete the items of a gallery that show one of the images; None: all its items. Returns their number."""
    gone: set[str] = set()
    count = 0
    with log.database.writing() as connection:
        for part in [None] if images is None else parts(sorted(images)):
            which = (_L.gallery == gallery, *([] if part is None else [_L.sha256.in_(part)]))
            gone |= set(connection.scalars(select(_L.sha256).where(*which)))
            count += connection.execute(delete(LOGGED).where(*which)).rowcount
    drop_files(log, gone)
    return count


def drop_files(log: RequestLog, candidates: set[str]) -> None:
    """Delete the files of those images that no item names any more."""
    if not candidates:
        return
    with log.database.writing() as connection:
        for sha256 in candidates:
            if connection.scalar(select(_L.item).where(_L.sha256 == sha256).limit(1)) is None:
                with contextlib.suppress(FileNotFoundError):
                    log.images.delete(sha256)
    log.database.forget()


def _prediction(result: Result, place: int, sha256: str) -> dict[str, object]:
    second = result.next[0].probability if result.next else None
    both = result.probability is not None and second is not None
    return {
        "place": place,
        "label": result.label,
        "probability": result.probability,
        "margin": result.probability - second if both else None,  # type: ignore[operator]
        "distance": result.distance,
        "unknown": result.unknown,
        "sha256": sha256,
    }
