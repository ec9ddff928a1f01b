"""Difficulty from the support alone: both views against simulation and loops, and the fit against known weights."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from kshot.errors import NotConverged
from kshot.tasks.difficulty import (
    CERTAIN,
    PRIOR,
    DifficultyFeatures,
    difficulty_features,
    fit_difficulty,
    predicted_accuracy,
)
from kshot.tasks.embedding import Task
from kshot.tasks.space import learn_space

D = 8
SPREAD = torch.linspace(0.3, 1.2, D)  # standard deviation of an image about its class, direction by direction


@pytest.fixture(scope="module")
def space():
    generator = torch.Generator().manual_seed(0)
    means = 1.5 * torch.randn(300, 1, D, generator=generator)
    points = list(means + SPREAD * torch.randn(300, 30, D, generator=generator))
    return learn_space(points, points, generator)


def support(means, shots, generator):
    points = means[:, None] + SPREAD * torch.randn(len(means), shots, D, generator=generator)
    return Task(points.flatten(0, 1), torch.arange(len(means)).repeat_interleave(shots))


def true_accuracy(means, task, generator):
    queries = means[:, None] + SPREAD * torch.randn(len(means), 400, D, generator=generator)
    apart = torch.cdist(queries.double(), task.means.expand(len(means), -1, -1))
    return (apart.argmin(2) == torch.arange(len(means))[:, None]).double().mean().item()


# From one image a class the margin is not nearly normal in so few directions, and is thought smaller than it is.
@pytest.mark.parametrize(("shots", "error"), [(1, 0.06), (5, 0.02), (20, 0.02)])
def test_the_expected_accuracy_is_about_the_true_one(space, shots, error):
    generator = torch.Generator().manual_seed(1)
    expected, true = [], []
    for _ in range(200):
        means = 1.2 * torch.randn(2, D, generator=generator)
        task = support(means, shots, generator)
        expected.append(difficulty_features(task, space).expected)
        true.append(true_accuracy(means, task, generator))
    assert sum(expected) / 200 == pytest.approx(sum(true) / 200, abs=error)


def test_a_harder_task_is_expected_to_be_harder(space):
    generator = torch.Generator().manual_seed(2)
    for shots in (1, 5):
        means = torch.randn(5, D, generator=generator)
        easy, hard = (support(size * means, shots, torch.Generator().manual_seed(3)) for size in (3.0, 0.5))
        more, less = difficulty_features(easy, space), difficulty_features(hard, space)
        assert more.expected > less.expected + 0.2
        if shots > 1:
            assert more.left_out > less.left_out + 0.2


def test_the_left_out_view_equals_its_definition_by_loops(space):
    generator = torch.Generator().manual_seed(4)
    points, labels = torch.randn(7, D, generator=generator), torch.tensor([0, 0, 0, 1, 1, 2, 1])
    within = space.root @ space.root.T
    means = [points[labels == c].double().mean(0) for c in range(3)]
    by_class = []
    for c in (0, 1):  # the third has one image: it is only asked against
        members = (labels == c).nonzero().flatten().tolist()
        chances = []
        for i in members:
            x = points[i].double()
            own = torch.stack([points[j].double() for j in members if j != i]).mean(0)
            chance = 1.0
            for other in (o for o in range(3) if o != c):
                d = means[c] - means[other]
                margin = (x - means[other]).square().sum() - (x - own).square().sum()
                chance *= 0.5 * math.erfc(-float(margin / (4 * d @ within @ d).sqrt()) / math.sqrt(2))
            chances.append(chance)
        by_class.append(sum(chances) / len(chances))
    assert difficulty_features(Task(points, labels), space).left_out == pytest.approx(sum(by_class) / 2, rel=1e-6)


def test_one_image_a_class_has_nothing_to_leave_out(space):
    task = support(torch.randn(4, D), 1, torch.Generator().manual_seed(5))
    assert difficulty_features(task, space).left_out is None


def test_images_that_are_all_alike_are_no_numbers_trap(space):
    found = difficulty_features(Task(torch.ones(6, D), torch.arange(3).repeat_interleave(2)), space)
    assert 0 <= found.expected <= 1 and found.left_out is not None and 0 <= found.left_out <= 1


def test_the_fit_finds_the_weights_that_made_the_accuracies():
    generator = torch.Generator().manual_seed(6)
    shares = 0.05 + 0.9 * torch.rand(3000, 2, generator=generator).double()
    logits = shares.logit()
    single = torch.sigmoid(0.5 + 0.7 * logits[:, 0])
    more = torch.sigmoid(-0.3 + 0.4 * logits[:, 0] + 0.8 * logits[:, 1])
    found = [DifficultyFeatures(a, None) for a, _ in shares.tolist()] + [
        DifficultyFeatures(a, b) for a, b in shares.tolist()
    ]
    difficulty = fit_difficulty(found, [*single.tolist(), *more.tolist()])
    assert difficulty.one_shot.tolist() == pytest.approx([0.5, 0.7], abs=0.01)
    assert difficulty.more_shots.tolist() == pytest.approx([-0.3, 0.4, 0.8], abs=0.01)
    torch.testing.assert_close(predicted_accuracy(found[:5], difficulty), single[:5], rtol=0, atol=0.01)
    torch.testing.assert_close(predicted_accuracy(found[-5:], difficulty), more[-5:], rtol=0, atol=0.01)


def test_without_measured_tasks_the_expectation_stands_as_it_is():
    difficulty = fit_difficulty([], [])
    found = predicted_accuracy([DifficultyFeatures(0.8, None), DifficultyFeatures(0.7, 0.9)], difficulty)
    assert found.tolist() == pytest.approx([0.8, 0.7])


def test_certain_views_give_no_infinite_weights():
    difficulty = fit_difficulty(
        [DifficultyFeatures(1.0, None), DifficultyFeatures(1.0, 1.0), DifficultyFeatures(0.0, 0.0)], [1.0, 1.0, 0.0]
    )
    assert torch.isfinite(difficulty.one_shot).all() and torch.isfinite(difficulty.more_shots).all()


def disagreeing(tasks=200):
    """Views that are both certain and contradict each other, with accuracies in between."""
    generator = torch.Generator().manual_seed(7)
    sure = torch.rand(tasks, 2, generator=generator).double().round()
    shares = torch.where(torch.rand(tasks, 1, generator=generator) < 0.8, sure, 0.5 * sure + 0.25)
    measured = (0.82 + 0.05 * torch.randn(tasks, generator=generator).double()).clamp(0, 1)
    return shares.tolist(), measured.tolist()


def test_saturated_views_that_disagree_are_fitted_to_the_minimum():
    shares, measured = disagreeing()
    found = [DifficultyFeatures(a, None) for a, _ in shares] + [DifficultyFeatures(a, b) for a, b in shares]
    difficulty = fit_difficulty(found, measured * 2)
    predicted = predicted_accuracy(found, difficulty)
    assert float(predicted[:200].mean()) == pytest.approx(0.82, abs=0.01)
    assert float(predicted[200:].mean()) == pytest.approx(0.82, abs=0.01)
    logits = np.array(shares).clip(CERTAIN, 1 - CERTAIN)
    table = np.column_stack([np.ones(200), np.log(logits / (1 - logits))])
    for weights, width in ((difficulty.one_shot, 2), (difficulty.more_shots, 3)):
        columns, start = table[:, :width], np.eye(width)[1]

        def loss(w, columns=columns, start=start):
            scores = columns @ w
            return (np.logaddexp(0, scores) - measured * scores).sum() + PRIOR / 2 * ((w - start) ** 2).sum()

        oracle = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10000})
        assert loss(weights.numpy()) <= oracle.fun + 1e-7


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_views_of_one_value_and_accuracies_of_one_value_converge(accuracy):
    found = [DifficultyFeatures(1.0, 1.0)] * 50 + [DifficultyFeatures(1.0, None)] * 50
    predicted = predicted_accuracy(found, fit_difficulty(found, [accuracy] * 100))
    assert predicted.tolist() == pytest.approx([accuracy] * 100, abs=0.01)


def test_a_fit_of_no_numbers_has_not_converged():
    with pytest.raises(NotConverged, match="on 2 tasks has not converged"):
        fit_difficulty([DifficultyFeatures(0.5, None), DifficultyFeatures(math.nan, None)], [0.5, 0.5])
