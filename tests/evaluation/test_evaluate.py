import functools

import numpy as np
import pytest
import torch

from kshot.classifiers.nearest_neighbour import nearest_neighbour_scores
from kshot.classifiers.prototype import prototype_scores
from kshot.classifiers.table import CLASSIFIERS
from kshot.data.episodes import EpisodeSet
from kshot.distances import euclidean
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.open_set import nearest_distance
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.points import Points


def draw(rng, episodes=40, n_way=4, k_shot=3, n_query=5, classes=10, images=20):
    chosen = np.stack([rng.choice(classes, n_way, replace=False) for _ in range(episodes)])
    order = np.argsort(rng.random((episodes, n_way, images)), -1)[:, :, : k_shot + n_query]
    ids = chosen[:, :, None] * images + order
    return EpisodeSet(ids[:, :, :k_shot], ids[:, :, k_shot:], chosen)


def points_of(rng, count=200, dim=6):
    values = torch.from_numpy(rng.normal(size=(count, dim))).float()
    return Points(np.arange(count), values + torch.arange(count)[:, None] // 20 * 0.3)


def test_answers_equal_a_loop_over_episodes():
    rng = np.random.default_rng(0)
    points, episodes = points_of(rng), draw(rng)
    predicted = predict_episodes(points, episodes)
    for e in range(len(episodes.support)):
        means = [points.values[torch.from_numpy(ids)].mean(0) for ids in episodes.support[e]]
        for c, q in np.ndindex(*episodes.query.shape[1:]):
            query = points.values[episodes.query[e, c, q]]
            assert predicted[e, c, q] == int(torch.stack([(query - m).square().sum() for m in means]).argmin())


def test_accuracy_by_hand():
    # Classes at 0 and 10; the second class's query at 1 is nearer to the first.
    points = Points(np.array([3, 5, 7, 9]), torch.tensor([[0.0], [10.0], [0.5], [1.0]]))
    episodes = EpisodeSet(np.array([[[3], [5]]]), np.array([[[7], [9]]]), np.array([[0, 1]]))
    assert accuracies(predict_episodes(points, episodes)).tolist() == [0.5]


def test_cutting_into_chunks_changes_nothing():
    rng = np.random.default_rng(1)
    points, episodes = points_of(rng), draw(rng, episodes=3000)
    each = torch.cat(
        [predict_episodes(points, EpisodeSet(*(part[i : i + 1] for part in episodes))) for i in range(3000)]
    )
    assert torch.equal(predict_episodes(points, episodes), each)


def test_every_image_is_embedded_once():
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), dtype=np.uint8)
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    embedding = Embedding(settings_of({**settings, "ingest": {"size": 28, "channels": 1, "invert": True}}))
    seen = []
    embedding.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    points = embed_once(embedding, images, np.array([[4, 1], [1, 7]]), np.array([4]))
    assert sum(seen) == 3
    assert points.ids.tolist() == [1, 4, 7]
    assert points.rows(np.array([[7, 1]])).tolist() == [[2, 0]]


def test_first_takes_no_more_than_there_are():
    episodes = draw(np.random.default_rng(0), episodes=5)
    assert len(episodes.first(3).support) == 3
    assert len(episodes.first(9).query) == 5


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_head_answers_each_episode_as_it_would_alone(classifier):
    rng = np.random.default_rng(0)
    points = Points(np.arange(200), torch.from_numpy(rng.random((200, 16))).float())
    episodes = draw(rng, episodes=6)
    predicted = predict_episodes(points, episodes, CLASSIFIERS[classifier])
    assert predicted.shape == episodes.query.shape
    for i in range(6):
        n_way, k_shot = episodes.support.shape[1:]
        support, query = (points.values[points.rows(ids[i])].flatten(0, 1)[None] for ids in episodes[:2])
        alone = CLASSIFIERS[classifier](support, torch.arange(n_way).repeat_interleave(k_shot), query, n_way).argmax(-1)
        assert torch.equal(predicted[i].flatten(), alone[0])


def test_accuracy_of_a_perfect_and_of_a_blind_space():
    rng = np.random.default_rng(0)
    episodes = draw(rng, episodes=200)
    perfect = Points(np.arange(200), torch.nn.functional.one_hot(torch.arange(200) // 20, 10).float())
    assert accuracies(predict_episodes(perfect, episodes)).min() == 1.0
    blind = Points(np.arange(200), torch.from_numpy(rng.normal(size=(200, 8))).float())
    assert accuracies(predict_episodes(blind, episodes)).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("offset", [0.0, 10.0, 1e3, 1e4])
@pytest.mark.parametrize(
    "classifier", [prototype_scores, nearest_neighbour_scores, functools.partial(prototype_scores)]
)
def test_predictions_far_from_the_origin_are_those_of_float64(offset, classifier):
    rng = np.random.default_rng(3)
    near = rng.normal(size=(200, 64)) + 0.4 * rng.normal(size=(10, 64)).repeat(20, 0)
    points = Points(np.arange(200), torch.from_numpy(near + offset * rng.normal(1, 0.3, 64)).float())
    episodes = draw(rng, episodes=300)
    exact = points._replace(values=points.values.double())
    wanted = predict_episodes(exact, episodes, functools.partial(classifier))
    found = predict_episodes(points, episodes, classifier)
    # At 1e4 the points themselves have three decimals, so that the two nearest classes may be as near as each other.
    assert (found == wanted).double().mean() > 0.9999
    assert 0.5 < accuracies(found).mean() < 0.999


def test_open_set_distances_far_from_the_origin_are_those_of_float64():
    rng = np.random.default_rng(4)
    points = Points(np.arange(200), torch.from_numpy(rng.normal(size=(200, 64)) + 1e4).float())
    episodes = draw(rng)
    exact = nearest_distance(points._replace(values=points.values.double()), episodes, euclidean)
    torch.testing.assert_close(nearest_distance(points, episodes, euclidean).double(), exact, rtol=1e-6, atol=0)
