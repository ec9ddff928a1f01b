import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from kshot.classifiers.prototype import prototype_scores
from kshot.data.episodes import EpisodeSet
from kshot.evaluation.calibration import (
    chosen_temperature,
    class_scores,
    expected_calibration_error,
    fit_temperature,
    measured,
)
from kshot.nets.points import Points


def sampled(n, n_way, temperature, seed=0, scale=3.0):
    """Scores, and right classes drawn with the probabilities softmax(scores / temperature)."""
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(n, n_way, generator=generator, dtype=torch.float64)
    truth = torch.multinomial((scores / temperature).softmax(1), 1, generator=generator).flatten()
    return scores, truth


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_fit_finds_the_temperature_that_drew_the_classes_at_any_scale(temperature, scale):
    scores, truth = sampled(40_000, 5, temperature)
    assert fit_temperature(scores * scale, truth) == pytest.approx(temperature * scale, rel=0.05)


def test_the_fit_is_the_minimum_of_the_likelihood_on_a_fine_grid():
    scores, truth = sampled(500, 4, 2.0, seed=1)
    grid = np.geomspace(0.5, 8, 2001)
    losses = [-log_softmax(scores.numpy() / t, 1)[np.arange(500), truth.numpy()].mean() for t in grid]
    assert fit_temperature(scores, truth) == pytest.approx(grid[int(np.argmin(losses))], rel=2e-3)


def test_a_constant_added_to_all_scores_of_a_query_changes_nothing():
    scores, truth = sampled(1000, 5, 2.0)
    assert fit_temperature(scores - 1e6, truth) == pytest.approx(fit_temperature(scores, truth), rel=1e-4)


@pytest.mark.parametrize("guess", [0.001, 1.9, 2.1, 1000.0])
def test_a_guess_near_or_far_changes_no_temperature(guess):
    scores, truth = sampled(1000, 5, 2.0)
    assert fit_temperature(scores, truth, near=guess) == pytest.approx(fit_temperature(scores, truth), rel=1e-8)


def test_a_near_guess_takes_half_of_the_steps(monkeypatch):
    steps = []
    softmax = torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda self, dim: steps.append(dim) or softmax(self, dim))
    scores, truth = sampled(1000, 5, 2.0)
    found = fit_temperature(scores, truth)
    whole = len(steps)
    fit_temperature(scores, truth, near=found)
    assert 0 < len(steps) - whole <= whole / 2


@pytest.mark.parametrize(
    "scores, truth",
    [
        (torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])),  # all right: the smaller the better
        (torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([1, 0])),  # all wrong: the larger the better
        (torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])),  # no difference between the classes
    ],
)
def test_there_is_no_temperature_where_the_likelihood_has_no_maximum(scores, truth):
    assert fit_temperature(scores.double(), truth) is None


def test_a_temperature_is_chosen_only_where_it_helps_on_episodes_that_it_was_not_fitted_on():
    scores, truth = sampled(4_000, 5, 3.0)
    assert chosen_temperature(scores, truth, 100) == fit_temperature(scores, truth) == pytest.approx(3.0, rel=0.1)
    calibrated, truth = sampled(4_000, 5, 1.0)
    assert fit_temperature(calibrated, truth) != 1.0 == chosen_temperature(calibrated, truth, 100)


def test_there_is_no_choice_where_there_is_no_fit():
    assert (
        chosen_temperature(torch.tensor([[3.0, 0.0], [0.0, 2.0]], dtype=torch.float64), torch.tensor([0, 1]), 1) is None
    )


def test_the_calibration_error_is_the_weighted_gap_of_its_bins():
    # Confidence 0.9 in two queries of which one is right (gap 0.4), 0.6 in two of which both are (gap 0.4), 0.7 in one
    # that is wrong (gap 0.7).
    confidence = torch.tensor([0.9, 0.9, 0.6, 0.6, 0.7], dtype=torch.float64)
    scores = torch.stack([confidence.log(), (1 - confidence).log()], 1)
    truth = torch.tensor([0, 1, 0, 0, 1])
    assert expected_calibration_error(scores, truth) == pytest.approx((2 * 0.4 + 2 * 0.4 + 1 * 0.7) / 5)


def test_one_bin_takes_confidences_on_both_sides_of_its_accuracy():
    # 0.61 and 0.65 are in one bin of (9/15, 10/15]: its mean confidence 0.63 against one of two right.
    confidence = torch.tensor([0.61, 0.65], dtype=torch.float64)
    scores = torch.stack([confidence.log(), (1 - confidence).log()], 1)
    assert expected_calibration_error(scores, torch.tensor([0, 1])) == pytest.approx(0.13)


def test_calibrated_probabilities_have_a_small_error_and_others_a_large_one():
    scores, truth = sampled(40_000, 5, 5.0)
    assert expected_calibration_error(scores, truth, 5.0) < 0.01 < 0.2 < expected_calibration_error(scores, truth)


def test_scores_of_episodes_come_class_by_class_with_their_truth():
    # Two classes around 0 and 10 on a line, one support image each; queries at 1 and 2, 8 and 13.
    points = Points(np.arange(6), torch.tensor([0.0, 10, 1, 2, 8, 13])[:, None])
    episodes = EpisodeSet(np.array([[[0], [1]]]), np.array([[[2, 3], [4, 5]]]), np.array([[0, 1]]))
    scores, truth = class_scores(points, episodes, prototype_scores)
    assert truth.tolist() == [0, 0, 1, 1]
    assert torch.allclose(scores, torch.tensor([[-1, -81], [-4, -64], [-64, -4], [-169, -9]]).double())
    found = measured(points, episodes, prototype_scores, 40.0)
    assert found.queries == 4 and found.temperature == 40.0
    assert found.before == pytest.approx(0.0, abs=1e-12), "all four are right and certain"
    shares = [1 / (1 + math.exp(-gap / 40)) for gap in (80, 60, 60, 160)]
    # 60 / 40 twice in one bin; the others are in bins of their own.
    assert found.after == pytest.approx(1 - sum(shares) / 4)
