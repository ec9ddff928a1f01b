"""Leave-one-out beside a slow oracle: a new gallery without the example, asked for it."""

import numpy as np
import pytest

from kshot.serve.engine import leave_one_out as module
from kshot.serve.engine.gallery_state import GalleryState, gallery_state
from kshot.serve.engine.leave_one_out import leave_one_out
from kshot.serve.store.galleries import GalleryRow

GALLERY = GalleryRow(1, "birds", 1, None, "2026-11-28T00:00:00")


def state_of(labels: list[str], seed: int = 0) -> GalleryState:
    points = np.random.default_rng(seed).normal(size=(len(labels), 6)).astype(np.float32)
    rows = [(number, name, f"{number}") for number, name in enumerate(labels)]
    return gallery_state(GALLERY, rows, points, np.zeros(6, dtype=np.float32))


@pytest.mark.parametrize("at_once", [3, 4096])
def test_each_example_is_asked_of_the_others(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    state = state_of(["a"] * 5 + ["b"] * 2 + ["single"] + ["c"] * 4)
    parts = leave_one_out(state)
    places = np.concatenate([part.places for part in parts])
    assert [state.class_names[state.labels[place]] for place in places] == ["a"] * 5 + ["b"] * 2 + ["c"] * 4
    squared = np.concatenate([part.squared for part in parts])
    for row, place in enumerate(places):
        others = np.arange(len(state.labels)) != place
        means = [state.points[others & (state.labels == label)].mean(0) for label in range(4)]
        expected = np.square(np.array(means, dtype=np.float64) - state.points[place]).sum(1)
        np.testing.assert_allclose(squared[row], expected, rtol=1e-5)
    predicted = np.concatenate([part.predicted for part in parts])
    assert predicted.tolist() == squared.argmin(1).tolist()


def test_a_gallery_of_single_examples_has_nothing_to_test() -> None:
    assert leave_one_out(state_of(["a", "b", "c"])) == []
