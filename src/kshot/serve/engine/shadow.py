"""Recognises the same images with another version, outside the request, and counts disagreements."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kshot.errors import KshotError
from kshot.serve.engine import registered_copy
from kshot.serve.engine.decoding import SentImage, prepare_images
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.gallery_states import GalleryStates
from kshot.serve.engine.recognition import recognise
from kshot.serve.engine.registered_copy import Standing
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.settings import ServeSettings
from kshot.serve.store import disagreements
from kshot.serve.store.gallery_store import GalleryStore

WAITING = 64  # requests; what comes beyond is dropped, so that the shadow never slows the service


@dataclass(frozen=True, eq=False)
class ShadowRequest:
    """A request with the labels of the served version."""

    gallery: str
    id: str
    version: str
    images: Sequence[SentImage]
    labels: Sequence[str]


class Shadow:
    """Follows the alias `settings.shadow`; does nothing if that is None, or while no version has the alias.

    trouble: why it cannot predict; '' if it can. `tell` is called with each request's id and the shadow's labels.
    """

    def __init__(
        self,
        root: Path,
        settings: ServeSettings,
        store: GalleryStore,
        embedding: EmbeddingQueue,
        pool: Executor,
        tell: Callable[[str, Sequence[str]], None],
    ) -> None:
        self.root, self.settings, self.store, self.embedding, self.pool = root, settings, store, embedding, pool
        self.tell = tell
        self.trouble = ""
        self.dropped = 0
        self._waiting: queue.Queue[ShadowRequest | None] = queue.Queue(WAITING)
        self._standing: Standing | None = None
        self._states: GalleryStates | None = None
        self._looked = float("-inf")
        self._thread: threading.Thread | None = None

    @property
    def version(self) -> ServedVersion | None:
        """The shadow version; None if there is none."""
        return self._states.version if self._states is not None else None

    def at_start(self) -> str:
        """A line on the version that the alias names now; '' without a shadow, or if the registry does not answer."""
        alias = self.settings.shadow
        with suppress(KshotError):
            if alias is not None:
                found = registered_copy.standing(self.root, alias)
                return f"shadow: {alias}, " + (f"version {found.version}" if found else "which no version has yet")
        return ""

    def start(self) -> None:
        if self.settings.shadow is not None:
            self._thread = threading.Thread(target=self._run, name="kshot-shadow", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop; a request that is under way ends first."""
        if self._thread is not None:
            with suppress(queue.Empty):  # the thread may take the last one
                while True:
                    self._waiting.get_nowait()
            self._waiting.put(None)
            self._thread.join()

    def offer(self, request: ShadowRequest) -> None:
        """Queue the request for the shadow. Returns at once and raises nothing."""
        if self._thread is None:
            return
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            self.dropped += 1

    def look(self) -> None:
        """Find out which version the alias names now, at most once in `poll_seconds`."""
        alias = self.settings.shadow
        if alias is None or time.monotonic() - self._looked < self.settings.poll_seconds:
            return
        self._looked = time.monotonic()
        wanted = registered_copy.standing(self.root, alias)
        if wanted is None:
            self._standing = self._states = None
        elif wanted != self._standing:
            version = registered_copy.load(self.root, self.store, wanted, self.settings.device)
            self._states = GalleryStates(self.store, self.embedding, self.pool, version)
            self._standing = wanted

    def drop_deleted(self) -> None:
        """Forget the embeddings of what is deleted."""
        states = self._states
        if states is not None:
            states.drop_deleted()

    def _run(self) -> None:
        while True:
            try:
                request = self._waiting.get(timeout=self.settings.poll_seconds)
                if request is None:
                    return
            except queue.Empty:
                request = None
            try:
                self.look()
                if request is None:
                    self.drop_deleted()
                if request is not None and self._states is not None:
                    self._recognise(request, self._states)
                self.trouble = ""
            except (KshotError, OSError) as error:
                self.trouble = f"the shadow {self.settings.shadow} cannot be used: {error}"
            except Exception as error:  # the thread must outlive it, and the reason must be seen
                what = f"{type(error).__name__}: {error}"
                self.trouble = f"the shadow {self.settings.shadow} cannot be used: {what}"

    def _recognise(self, request: ShadowRequest, states: GalleryStates) -> None:
        version = states.version
        if version.version == request.version:
            return  # the challenger was promoted
        state = states.get(request.gallery)
        prepared = prepare_images(list(request.images), version.model.ingest, self.settings.image_pixels, self.pool)
        pixels = np.stack([one.pixels for one in prepared])
        points = self.embedding.embed(version.model.method, pixels, background=True)
        labels = [one.label for one in recognise(version, state, points, n_next=0, n_nearest=0)]
        differ = sum(one != other for one, other in zip(labels, request.labels, strict=True))
        disagreements.add(self.store, request.version, version.version, len(labels), differ)
        self.tell(request.id, labels)
