"""The opened gallery service of a project: store, model, galleries, and the threads that update them."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from kshot import plugins
from kshot.params import project_name
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.follower import Follower, Snapshot
from kshot.serve.engine.loop_batch import LoopBatch
from kshot.serve.engine.shadow import Shadow
from kshot.serve.messages.gallery_messages import Limits, ModelName, Service
from kshot.serve.messages.refusals import Refused
from kshot.serve.request_log import RequestLog, open_log
from kshot.serve.settings import ServeSettings
from kshot.serve.store.database import is_reachable
from kshot.serve.store.gallery_store import GalleryStore, open_store, sweep


@dataclass(frozen=True, eq=False)
class GalleryService:
    """The opened service that the routers use. `pool` decodes images."""

    root: Path
    project: str
    settings: ServeSettings
    store: GalleryStore
    queue: EmbeddingQueue
    pool: ThreadPoolExecutor
    follower: Follower
    log: RequestLog
    shadow: Shadow
    loop_batch: LoopBatch

    @property
    def snapshot(self) -> Snapshot:
        """The model that is served now, with its galleries: a request reads it once."""
        return self.follower.current

    def notes(self) -> list[str]:
        """What is missing while the service answers on; [] if nothing is."""
        lost = self.snapshot.states.lost
        return [
            *(trouble for trouble in (self.follower.trouble, self.shadow.trouble, self.log.trouble) if trouble),
            *([] if is_reachable(self.store.database) else ["the gallery store's database does not answer"]),
            *(f"{count} images of gallery {name!r} have no file any more" for name, count in lost.items() if count),
        ]

    def describe(self) -> Service:
        """The response to GET /v1/service."""
        version, settings, notes = self.snapshot.version, self.settings, self.notes()
        other = self.shadow.version
        return Service(
            project=self.project,
            model=ModelName(name=version.name, version=version.version, alias=version.alias),
            calibrated=version.calibrated,
            classifier=version.model.inference.by,
            limits=Limits(
                body_bytes=settings.body_bytes,
                import_bytes=settings.import_bytes,
                image_pixels=settings.image_pixels,
                images=settings.images_per_request,
                requests_per_second=settings.requests_per_second or None,
                name_characters=settings.name_characters,
            ),
            log=settings.log,
            state="degraded" if notes else "ready",
            notes=notes,
            switching_to=self.follower.switching_to,
            shadow=None if other is None else ModelName(name=other.name, version=other.version, alias=other.alias),
        )

    def drop_deleted(self) -> None:
        """Forget, in this process, the embeddings of examples that were deleted."""
        with suppress(Refused):  # the database is gone: the follower tries again
            self.follower.drop_deleted()
            self.shadow.drop_deleted()

    def start(self) -> None:
        """Follow the registry from now on, and ask the shadow, too."""
        self.follower.start()
        self.shadow.start()

    def close(self) -> None:
        """Finish what is under way, and close everything."""
        self.follower.stop()
        self.shadow.stop()
        self.queue.close()
        self.pool.shutdown()
        self.log.stop()
        self.store.close()


def open_service(root: Path, settings: ServeSettings) -> GalleryService:
    """Open the service of the project at `root`: its model is loaded and every gallery embedded when this returns.

    Raises KshotError: if no version has the alias, the store cannot be opened, or the model cannot be loaded.
    """
    plugins.use_project(root)
    store = open_store(root, settings.database, settings.images)
    queue = EmbeddingQueue(settings.batch_images, settings.batch_wait_ms)
    # Only the queue's thread computes on several cores: where the teams of two threads have more members than there are
    # cores, OpenMP's threads sleep between the layers of a network, and a forward pass takes twice as long.
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="kshot-decoding")
    try:
        sweep(store)
        follower, log = Follower(root, settings, store, queue, pool), open_log(store, settings)
    except BaseException:
        queue.close()
        pool.shutdown()
        store.close()
        raise
    shadow = Shadow(root, settings, store, queue, pool, log.offer_challenger)
    follower.also_kept = lambda: {shadow.version.key} if shadow.version is not None else set()
    return GalleryService(
        root, project_name.of(root), settings, store, queue, pool, follower, log, shadow, LoopBatch(queue)
    )
