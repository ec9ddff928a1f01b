import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from kshot.data.episodes import EpisodeSet
from kshot.distances import cosine_distance, euclidean
from kshot.evaluation.open_set import OpenSet, area_under_roc, calibrate, nearest_distance, open_set
from kshot.nets.points import Points


def line(*places):
    """Images on a line, image i at places[i]."""
    return Points(np.arange(len(places)), torch.tensor(places, dtype=torch.float32)[:, None])


# Classes 0, 1, 2, 3 around 0, 10, 20 and 30: three images each, the first the support.
POINTS = line(0, 1, -2, 10, 11, 8, 20, 21, 23, 30, 31, 28)
PAIRS = EpisodeSet(
    np.array([[[0], [3]], [[3], [6]], [[6], [9]]]),
    np.array([[[1, 2], [4, 5]], [[4, 5], [7, 8]], [[7, 8], [10, 11]]]),
    np.array([[0, 1], [1, 2], [2, 3]]),
)


def test_distances_are_those_to_the_nearest_class_mean():
    assert nearest_distance(POINTS, PAIRS, euclidean)[0].tolist() == [[1, 2], [1, 2]]
    two_shots = EpisodeSet(np.array([[[0, 1], [3, 4]]]), np.array([[[2], [5]]]), np.array([[0, 1]]))
    assert nearest_distance(POINTS, two_shots, euclidean).flatten().tolist() == [2.5, 2.5]


def test_unknown_queries_are_those_of_the_next_episodes_classes_that_are_not_its_own():
    # Episode 0 gets class 2 (21, 23: 11 and 13 from 10), 1 gets class 3 (31, 28: 11 and 8 from 20), 2 gets 0 and 1,
    # (1, -2, 11, 8: 19, 22, 9, 12 from 20). Known ones lie 1, 2, 1, 2, 1, 2, 1, 3, 1, 3, 1, 2 away.
    found = open_set(POINTS, PAIRS, 9.0, euclidean)
    assert found == OpenSet(9.0, 1.0, 2 / 8, 1.0, 8)


def test_equal_distances_count_half():
    assert area_under_roc(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 0.0, 3.0])) == pytest.approx(3.5 / 6)


@pytest.mark.parametrize("steps", [5, 1000])  # many equal distances, and few
def test_the_area_is_that_of_scikit_learn(steps):
    random = torch.Generator().manual_seed(0)
    known, unknown = (torch.randint(steps, (n,), generator=random).double() / 7 + n / 9000 for n in (300, 1200))
    truth = np.repeat([0, 1], [len(known), len(unknown)])
    wanted = roc_auc_score(truth, torch.cat([known, unknown]).numpy())
    assert area_under_roc(known, unknown) == pytest.approx(wanted, abs=1e-12)


def test_auroc_is_the_chance_that_an_unknown_query_is_farther():
    rng = np.random.default_rng(0)
    points = Points(
        np.arange(200), torch.from_numpy(rng.normal(size=(200, 2))).float() + torch.arange(200)[:, None] // 20
    )
    classes = np.stack([rng.choice(10, 3, replace=False) for _ in range(30)])
    ids = classes[:, :, None] * 20 + np.argsort(rng.random((30, 3, 20)), -1)[:, :, :6]
    episodes = EpisodeSet(ids[:, :, :2], ids[:, :, 2:], classes)
    known, unknown = nearest_distance(points, episodes, euclidean).flatten(), []
    for e in range(30):
        means = points.values[episodes.support[e]].mean(1)
        for place, label in enumerate(episodes.classes[(e + 1) % 30]):
            if label not in episodes.classes[e]:
                queries = points.values[episodes.query[(e + 1) % 30, place]]
                unknown += (queries[:, None] - means).norm(dim=-1).amin(1).tolist()
    unknown = torch.tensor(unknown)
    farther = (unknown[:, None] > known).double() + 0.5 * (unknown[:, None] == known)
    found = open_set(points, episodes, None, euclidean)
    assert found.auroc == pytest.approx(farther.mean().item(), abs=1e-4) and found.unknown == len(unknown)
    assert found.threshold is found.accepted is found.false_accept is None


def test_the_threshold_is_the_least_that_lets_the_share_through():
    # The twelve known distances: seven of 1, three of 2 ... in all 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3.
    distances = sorted(nearest_distance(POINTS, PAIRS, euclidean).flatten().tolist())
    for accept in (0.01, 0.5, 0.51, 0.9, 1.0):
        threshold = calibrate(POINTS, PAIRS, accept, euclidean)
        assert np.mean(np.array(distances) <= threshold) >= accept
        below = [d for d in distances if d < threshold]
        assert len(below) / len(distances) < accept


def test_without_a_class_that_is_not_in_the_next_episode_there_is_no_figure():
    one = EpisodeSet(*(part[:1] for part in PAIRS))
    assert open_set(POINTS, one, 1.0, euclidean) is None


def test_a_distance_that_compares_directions_ignores_lengths():
    # Two classes along the axes and a third between them: one image of each is far longer than the others.
    directions = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, 1.0], [1.0, 0.9]])
    lengths = torch.tensor([1.0, 50.0, 1.0, 50.0, 1.0, 1.0])
    points = Points(np.arange(6), directions * lengths[:, None])
    episodes = EpisodeSet(
        np.array([[[0], [2]], [[2], [4]]]), np.array([[[1], [3]], [[3], [5]]]), np.array([[0, 1], [1, 2]])
    )
    by_length, by_direction = (open_set(points, episodes, None, one).auroc for one in (euclidean, cosine_distance))
    assert by_direction == 1 and by_length < 1
