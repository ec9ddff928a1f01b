"""Follows an alias of the registry: model and galleries change in one step, when everything is embedded."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import KshotError, RegistryError
from kshot.serve.engine import registered_copy
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.gallery_states import GalleryStates
from kshot.serve.engine.registered_copy import Standing
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.messages.refusals import Refused
from kshot.serve.settings import ServeSettings
from kshot.serve.store.embeddings import forget_others
from kshot.serve.store.gallery_store import GalleryStore

RECENT = 2  # models that stay in memory: a rollback needs nothing but them
RETRY_S = 30.0  # after a version that could not be loaded


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model and the galleries embedded by it. A request uses one snapshot throughout."""

    version: ServedVersion
    states: GalleryStates


class Follower:
    """Serves the version that the alias names. `current` is replaced as a whole.

    trouble       why the registry or its new version cannot be followed; '' if it can
    switching_to  the version whose galleries are being embedded; None if none is
    """

    def __init__(
        self, root: Path, settings: ServeSettings, store: GalleryStore, queue: EmbeddingQueue, pool: Executor
    ) -> None:
        self.root, self.settings, self.store, self.queue, self.pool = root, settings, store, queue, pool
        self.trouble = ""
        self.switching_to: str | None = None
        self.also_kept: Callable[[], set[str]] = set  # keys of models whose copies and embeddings others use
        self._stop = threading.Event()
        self._switching = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed: Standing | None = None
        self._again = 0.0  # when to try the failed version again
        self._recent: list[tuple[Standing, Snapshot]] = []
        self._standing = self._first()
        self.current = self._loaded(self._standing)
        self.current.states.follow_changes()
        self._recent.append((self._standing, self.current))

    def start(self) -> None:
        """Start to look at the registry every `poll_seconds`."""
        self._thread = threading.Thread(target=self._run, name="kshot-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking at the registry; a switch that is under way ends first."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> bool:
        """Look at the registry once, and switch if the alias names another version. Returns whether it switched."""
        with self._switching:
            try:
                wanted = registered_copy.standing(self.root, self.settings.alias)
                if wanted is None:
                    raise RegistryError(f"no version is {self.settings.alias} any more")
                if wanted == self._failed and time.monotonic() < self._again:
                    return False
                self._failed, self._again = wanted, time.monotonic() + RETRY_S
                if wanted != self._standing:
                    self.switching_to = wanted.version
                    self._switch(wanted)
                    self.trouble, self._failed = "", None
                    return True
                self.trouble, self._failed = "", None
            except (KshotError, OSError) as error:
                self.trouble = f"{error}; version {self.current.version.version} is served"
            finally:
                self.switching_to = None
            return False

    def drop_deleted(self) -> None:
        """Forget the embeddings of what is deleted: of the model that is served, and of those kept for a rollback."""
        for snapshot in {self.current, *(snapshot for _, snapshot in list(self._recent))}:
            snapshot.states.drop_deleted()

    def _run(self) -> None:
        while not self._stop.wait(self.settings.poll_seconds):
            try:
                self.look()
                with suppress(Refused):  # without the database: what is in memory is all that there is
                    self.drop_deleted()  # by another process on the same store
            except Exception as error:  # the thread must outlive it, and the reason must be seen
                self.trouble = f"{type(error).__name__}: {error}; version {self.current.version.version} is served"

    def _first(self) -> Standing:
        """The first version to serve: the one that the alias names, or the last one if the registry does not answer."""
        alias = self.settings.alias
        try:
            wanted = registered_copy.standing(self.root, alias)
        except RegistryError as error:
            found = registered_copy.last(self.store.folder, alias)
            if found is None:
                raise
            self.trouble = f"{error}; version {found.version} is served, as before"
            return found
        if wanted is None:
            raise RegistryError(
                f"no version is {alias}, so there is nothing to serve; `kshot retrain` makes and promotes one, "
                "`kshot models` lists what there is"
            )
        return wanted

    def _switch(self, wanted: Standing) -> None:
        """Embed every gallery by the new model, then serve it. Requests use the current one meanwhile."""
        fresh = self._loaded(wanted)
        fresh.states.follow_changes()
        # One assignment: a request sees the old model with its galleries or the new one with its. A gallery that
        # changes from here on is embedded when it is next used.
        self.current = fresh
        self._standing = wanted
        self._recent = [(wanted, fresh), *((one, snapshot) for one, snapshot in self._recent if one != wanted)][:RECENT]
        keys = {snapshot.version.key for _, snapshot in self._recent} | self.also_kept()
        registered_copy.delete_others(self.store.folder, keys)
        with self.store.database.writing() as connection:
            forget_others(connection, keys)

    def _loaded(self, wanted: Standing) -> Snapshot:
        for standing, snapshot in self._recent:
            if standing == wanted:
                return snapshot
        version = registered_copy.load(self.root, self.store, wanted, self.settings.device)
        return Snapshot(version, GalleryStates(self.store, self.queue, self.pool, version))
