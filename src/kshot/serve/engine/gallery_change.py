"""What a promotion means for the galleries: each one's accuracy under the champion and under the version after it."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.serving import model_manifest
from kshot.params import project_name
from kshot.serve.engine import registered_copy
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.gallery_state import GalleryState
from kshot.serve.engine.gallery_states import GalleryStates
from kshot.serve.engine.registered_copy import Standing
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.engine.suspects import predictions_without_each
from kshot.serve.refusals import Refused
from kshot.serve.settings import ServeSettings
from kshot.serve.store.galleries import listed
from kshot.serve.store.gallery_store import GalleryStore, open_store
from kshot.statistics import Interval, ratio_difference

COMPARED = "compared"  # instead of an alias, for the copies of versions that no service serves


@dataclass(frozen=True)
class GalleryChange:
    """The leave-one-out accuracies of one gallery, in [0, 1].

    tested      examples whose class has another one; each is asked of the gallery without it
    difference  after - before, paired, with its 95 % interval over classes; None if fewer than two could be tested
    why         why there are no figures; '' if there are
    """

    gallery: str
    classes: int
    tested: int
    before: float | None = None
    after: float | None = None
    difference: Interval | None = None
    why: str = ""


def gallery_changes(root: Path, settings: ServeSettings, before: str, after: str) -> list[GalleryChange]:
    """The change of every gallery of the project from version `before` to version `after`.

    Both models embed the stored images; embeddings are cached, so that a later switch is quicker. Raises KshotError.
    """
    store = open_store(root, settings.database, settings.images)
    queue = EmbeddingQueue(settings.batch_images, 0)
    with (
        closing(store),
        closing(queue),
        ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool,
    ):
        with store.database.reading() as connection:
            names = [row.name for row in listed(connection)]
        if not names:
            return []
        both = [
            GalleryStates(store, queue, pool, _loaded(root, store, model_versions.find(root, version), settings))
            for version in (before, after)
        ]
        return [_change(name, *((states.version, states.get(name)) for states in both)) for name in names]


def _loaded(root: Path, store: GalleryStore, found: Registered, settings: ServeSettings) -> ServedVersion:
    seal = found.tags.get(model_manifest.TAG, "") or found.run_id
    wanted = Standing(project_name.of(root), found.version, COMPARED, seal)
    return registered_copy.load(root, store, wanted, settings.device)


def _change(
    name: str, before: tuple[ServedVersion, GalleryState], after: tuple[ServedVersion, GalleryState]
) -> GalleryChange:
    state = after[1]
    found = GalleryChange(name, len(state.class_names), 0)
    try:
        classes, old = _right(*before)
        same, new = _right(*after)
    except Refused as refused:
        return replace(found, why=str(refused))
    if len(state.class_names) < 2:
        return replace(found, why="it has one class, so that nothing can be confused")
    if not len(classes):
        return replace(found, why="no class has two examples")
    if not np.array_equal(classes, same):
        return replace(found, why="it changed meanwhile")
    _, places = np.unique(classes, return_inverse=True)
    total = np.bincount(places)
    if len(total) < 2:
        return replace(found, why="only one class has two examples, too few for an interval")
    difference = ratio_difference(np.bincount(places, new), np.bincount(places, old), total)
    return GalleryChange(name, len(state.class_names), len(classes), float(old.mean()), float(new.mean()), difference)


def _right(version: ServedVersion, state: GalleryState) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The class of each tested example, and whether it is predicted right without the example."""
    tested, found = predictions_without_each(version, state)
    classes = state.labels[tested]
    return classes, (np.array([best for best, _ in found], dtype=np.int64) == classes).astype(np.float64)
