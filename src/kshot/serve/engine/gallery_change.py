"""Counts how often each gallery is right under the champion and under the next version, before a promotion."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
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
from kshot.serve.messages.refusals import Refused
from kshot.serve.settings import ServeSettings
from kshot.serve.store.galleries import listed
from kshot.serve.store.gallery_store import GalleryStore, open_store

COMPARED = "compared"  # instead of an alias, for the copies of versions that no service serves
TRIES = 5  # a gallery that is taught meanwhile is compared again


def gallery_changes(root: Path, settings: ServeSettings, before: str, after: str) -> list[GalleryEvidence]:
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
        return [_settled(name, *both) for name in names]


def _loaded(root: Path, store: GalleryStore, found: Registered, settings: ServeSettings) -> ServedVersion:
    seal = found.tags.get(model_manifest.TAG, "") or found.run_id
    wanted = Standing(project_name.of(root), found.version, COMPARED, seal)
    return registered_copy.load(root, store, wanted, settings.device)


def _settled(name: str, before: GalleryStates, after: GalleryStates) -> GalleryEvidence:
    """Both models on one revision of the gallery, where one of a few tries finds it unchanged."""
    for _ in range(TRIES):
        try:
            old, new = before.get(name), after.get(name)
        except Refused as refused:  # deleted or renamed meanwhile, or the store is gone
            return GalleryEvidence(name, 0, why=str(refused))
        if old.gallery == new.gallery and np.array_equal(old.ids, new.ids):
            return _change((before.version, old), (after.version, new))
    return GalleryEvidence(name, len(new.class_names), revision=new.gallery.revision, why="it changed meanwhile")


def _change(before: tuple[ServedVersion, GalleryState], after: tuple[ServedVersion, GalleryState]) -> GalleryEvidence:
    state = after[1]
    found = GalleryEvidence(state.gallery.name, len(state.class_names), revision=state.gallery.revision)
    try:
        classes, old = _right(*before)
        _, new = _right(*after)
    except Refused as refused:
        return replace(found, why=str(refused))
    if len(state.class_names) < 2:
        return replace(found, why="it has one class, so that nothing can be confused")
    if not len(classes):
        return replace(found, why="no class has two examples")
    _, places, total = np.unique(classes, return_inverse=True, return_counts=True)
    if len(total) < 2:
        return replace(found, why="only one class has two examples, too few for an interval")
    right = (np.bincount(places, one, len(total)).round().astype(int).tolist() for one in (old, new))
    counts = Counter(zip(total.tolist(), *right, strict=True))
    return replace(found, counts=tuple((*row, classes_of_it) for row, classes_of_it in sorted(counts.items())))


def _right(version: ServedVersion, state: GalleryState) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The class of each tested example, and whether it is predicted right without the example."""
    tested, found = predictions_without_each(version, state)
    classes = state.labels[tested]
    return classes, (np.array([best for best, _ in found], dtype=np.int64) == classes).astype(np.float64)
