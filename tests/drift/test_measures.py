"""Drift measures on plain numbers: what the limits accept and reject, and the shape of drawn samples."""

import numpy as np
import pytest
import torch

from kshot.drift.drift_limits import FALSE_ALARMS, FLOORS, judge
from kshot.drift.held_out_samples import Shape, held_out_samples
from kshot.drift.measures import (
    APPEARANCE,
    Sample,
    Trained,
    appearance_quantiles,
    fourier_features,
    statistics,
    take,
)
from kshot.tasks.embedding import Task, embed_task
from kshot.tasks.space import learn_space

WIDE, IMAGES = 4, 12


def sample(classes: int, seed: int, shift: float = 0.0, move: float = 0.0) -> tuple[Sample, list[torch.Tensor]]:
    """Classes of normally distributed points and looks, both with a spread of their own for each class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), IMAGES)
    appearance_stats = rng.normal(0, 0.1, (classes, 5))[labels] + rng.normal(0, 0.1, (len(labels), 5)) + shift
    points = rng.normal(0, 1, (classes, WIDE))[labels] + rng.normal(0, 0.3, (len(labels), WIDE)) + move
    values = torch.from_numpy(points).float()
    return Sample(appearance_stats, labels, values), [values[labels == label] for label in range(classes)]


@pytest.fixture(scope="module")
def beside():
    """What was trained on, and a function that fills in what samples of it need."""
    trained, parts = sample(60, 0)
    held, others = sample(40, 1)
    space = learn_space(parts, others, torch.Generator().manual_seed(0))
    means = torch.stack([part.mean(0) for part in parts])
    assert trained.points is not None
    reference = Trained(
        appearance_stats=appearance_quantiles(trained.appearance_stats),
        mean_fourier=fourier_features(trained.points, space).mean(0),
        task=embed_task(Task(trained.points, torch.from_numpy(trained.labels)), space),
        space=space,
    )

    def filled(bare):
        distance = torch.cdist(bare.points, means).amin(1).double().numpy()
        return bare._replace(
            distance=distance, unknown=(distance > 1).astype(float), fourier=fourier_features(bare.points, space)
        )

    return reference, filled, filled(held)


KEPT = {}


def verdict(beside, bare, labelled=True, shape=None):
    reference, filled, held = beside
    shape = shape or Shape(tuple(np.bincount(bare.labels).tolist()))
    if (shape, labelled) not in KEPT:
        rows = held_out_samples(held.labels, [""] * 40, shape, np.random.default_rng(0), 200)
        KEPT[shape, labelled] = [statistics(take(held, some), reference, labelled=labelled) for some in rows]
    return judge(statistics(filled(bare), reference, labelled=labelled), KEPT[shape, labelled])


def drifted(measures):
    return {one.name for one in measures if one.drifted}


def test_fresh_samples_of_the_same_kind_are_rarely_called_drifted(beside):
    called = [drifted(verdict(beside, sample(10, 100 + seed)[0])) for seed in range(40)]
    assert sum(map(bool, called)) <= 2, called  # 1 % is meant


def test_samples_of_one_class_count_as_one_and_not_as_its_images(beside):
    # Twelve images of a class lie close together and far from the mean of all: that is no drift.
    called = [drifted(verdict(beside, sample(1, 200 + seed)[0])) for seed in range(20)]
    assert sum(map(bool, called)) <= 1, called


def test_what_is_shifted_or_moved_is_noticed_by_the_measures_that_can(beside):
    assert drifted(verdict(beside, sample(10, 7, shift=0.5)[0])) == set(APPEARANCE)
    assert {"distance", "unknown", "mmd", "outlyingness", "task"} <= drifted(
        verdict(beside, sample(10, 7, move=3.0)[0])
    )


def test_without_labels_there_is_no_task_and_the_rest_is_as_good(beside):
    bare, _ = sample(10, 7, move=3.0)
    unlabelled = bare._replace(labels=np.zeros(len(bare.labels), np.int64))
    found = verdict(beside, unlabelled, labelled=False, shape=Shape((IMAGES,) * 10))
    assert {one.name for one in found} == {*APPEARANCE, "distance", "unknown", "mmd"}
    assert drifted(found) == {"distance", "unknown", "mmd"}


def test_a_model_without_a_space_compares_the_looks_alone(beside):
    reference, _, held = beside
    bare = Sample(held.appearance_stats, held.labels)
    assert set(statistics(bare, Trained(reference.appearance_stats), labelled=True)) == set(APPEARANCE)


def test_statistics_by_hand():
    appearance_stats = np.zeros((4, 5))
    trained = Trained(appearance_quantiles(appearance_stats))
    shifted = Sample(appearance_stats + np.array([0.1, -0.2, 0, 0, 1]), np.zeros(4, np.int64))
    assert list(statistics(shifted, trained, labelled=False).values()) == pytest.approx([0.1, 0.2, 0, 0, 1])


def test_the_limits_hold_back_all_but_the_share_of_false_alarms(beside):
    rng = np.random.default_rng(3)
    drawn = [dict(zip("abc", rng.gamma(2, scale, 3), strict=True)) for scale in np.full(500, 1.0)]
    limits = {one.name: one.limit for one in judge(drawn[0], drawn)}
    beyond = sum(any(one[name] > limits[name] for name in limits) for one in drawn)
    assert beyond == pytest.approx(FALSE_ALARMS * len(drawn), abs=1)


def test_what_is_too_little_is_never_told():
    drawn = [{"size": 0.0, "brightness": 0.001 * (number % 3)} for number in range(50)]
    size, brightness = judge({"size": 0.09, "brightness": 0.015}, drawn)
    assert not size.drifted and not brightness.drifted and size.limit >= FLOORS["size"]
    assert judge({"size": 0.2, "brightness": 0.0}, drawn)[0].drifted
    assert (size.chance, brightness.chance) == (1 / 51, 1 / 51)


def test_drawn_samples_have_the_shape_of_the_new_one():
    labels = np.repeat(np.arange(12), 10)
    groups = ["a"] * 6 + ["b"] * 4 + ["c"] * 2

    def drawn(shape):
        return [labels[rows] for rows in held_out_samples(labels, groups, shape, np.random.default_rng(0), 40)]

    for found in drawn(Shape((3, 3, 5), groups=1)):
        names, counts = np.unique(found, return_counts=True)
        assert len({groups[name] for name in names}) == 1
        assert set(counts) <= {3, 5} and len(names) == 2
    # Nobody knows how many groups: every other sample is of one.
    known = [len({groups[name] for name in found}) for found in drawn(Shape((1,) * 6))]
    assert sum(count == 1 for count in known) >= 20 and max(known) == 3
    # n K / (K + 2 n) of K = 12 classes, never more than half of them; but two stay two.
    for n_way, fewer in ((1, 1), (2, 2), (6, 3), (300, 5)):
        assert {len(np.unique(found)) for found in drawn(Shape((2,) * n_way, groups=3))} == {fewer}
    assert {len(found) for found in drawn(Shape((50,), groups=3))} == {10}
