import numpy as np
import torch

from kshot.classifiers.prototype import prototype_scores
from kshot.data.episodes import EpisodeSet
from kshot.evaluation.evaluate import predict_episodes
from kshot.evaluation.wrong_queries import WrongQuery, wrong_queries
from kshot.nets.points import Points

# Points on a line. Class 10's support: images 0 and 1, mean 1; class 20's: images 2 and 3, mean 10.
PLACES = [0.0, 2.0, 8.0, 12.0, 7.0, 6.0, 3.0, 9.0]
POINTS = Points(np.arange(8), torch.tensor(PLACES)[:, None])
EPISODE = EpisodeSet(np.array([[[0, 1], [2, 3]]]), np.array([[[4, 5], [6, 7]]]), np.array([[10, 20]]))


def found(episodes, most=9, **options):
    predicted = predict_episodes(POINTS, episodes)
    return wrong_queries(POINTS, episodes, predicted, prototype_scores, most, **options)


def repeated(*episodes):
    return EpisodeSet(*(np.concatenate(parts) for parts in zip(*episodes, strict=True)))


def test_margins_and_nearest_support_images_are_those_by_hand():
    # Image 6 at 3, of class 20: (3 - 10)² - (3 - 1)² = 45. Image 4 at 7, of class 10: (7 - 1)² - (7 - 10)² = 27.
    assert found(EPISODE) == [
        WrongQuery(episode=0, query=6, label=20, predicted=10, margin=45.0, right_support=2, wrong_support=1),
        WrongQuery(episode=0, query=4, label=10, predicted=20, margin=27.0, right_support=1, wrong_support=2),
    ], "image 5 is wrong for the same pair as image 4, with a smaller margin"


def test_an_image_and_a_pair_of_classes_appear_once():
    assert found(repeated(EPISODE, EPISODE)) == found(EPISODE)
    other_names = EPISODE._replace(classes=np.array([[30, 40]]))
    assert [(one.query, one.label) for one in found(repeated(EPISODE, other_names))] == [(6, 20), (4, 10), (5, 30)]


def test_at_most_so_many_from_at_most_so_many_episodes_with_wrong_predictions():
    right = EPISODE._replace(query=np.array([[[0, 1], [2, 3]]]))
    assert len(found(EPISODE, most=1)) == 1
    other_names = EPISODE._replace(classes=np.array([[30, 40]]))
    read = found(repeated(right, EPISODE, other_names), read=1)
    assert {one.episode for one in read} == {1}


def test_nothing_wrong_gives_nothing():
    assert found(EPISODE._replace(query=np.array([[[0, 1], [2, 3]]]))) == []
