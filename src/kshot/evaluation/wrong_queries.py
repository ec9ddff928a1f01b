"""The most confident wrong predictions of a set of episodes, with the support images that explain each."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.classifiers.classifier import Classifier
from kshot.data.episodes import EpisodeSet
from kshot.evaluation.evaluate import chunks
from kshot.nets.points import Points

EPISODES_READ = 200  # with wrong predictions; scoring all of thousands again would double the time of an evaluation


class WrongQuery(NamedTuple):
    """A query that was predicted wrongly.

    episode        its position among the episodes
    query          image id
    label          of its true class
    predicted      label of the class it was taken for
    margin         score of the predicted class minus score of the true class; at least 0
    right_support  image id of the nearest support image of the true class
    wrong_support  image id of the nearest support image of the predicted class
    """

    episode: int
    query: int
    label: int
    predicted: int
    margin: float
    right_support: int
    wrong_support: int


def wrong_queries(
    points: Points,
    episodes: EpisodeSet,
    predicted: Tensor,
    classifier: Classifier,
    most: int,
    read: int = EPISODES_READ,
) -> list[WrongQuery]:
    """The `most` wrong predictions with the largest margin, one per pair of classes and one per image.

    predicted (E, n_way, n_query) as returned by `predict_episodes` with `classifier`. The first `read` episodes that
    have wrong predictions are read. "Nearest" is by Euclidean distance of the embeddings `points`. Ties are broken by
    position, so the result is the same each time.
    """
    n_way = episodes.support.shape[1]
    guess = predicted.numpy()
    wrong = guess != np.arange(n_way)[None, :, None]
    chosen = np.flatnonzero(wrong.any((1, 2)))[:read]
    found: list[WrongQuery] = []
    seen_pairs: set[tuple[int, int]] = set()
    seen_images: set[int] = set()
    margins = _margins(points, _some(episodes, chosen), guess[chosen], classifier)
    rows, classes, queries = np.nonzero(wrong[chosen])
    for place in np.argsort(-margins[rows, classes, queries], kind="stable"):
        row, true, query = int(rows[place]), int(classes[place]), int(queries[place])
        episode = int(chosen[row])
        other = int(guess[episode, true, query])
        image = int(episodes.query[episode, true, query])
        pair = int(episodes.classes[episode, true]), int(episodes.classes[episode, other])
        if pair in seen_pairs or image in seen_images:
            continue
        seen_pairs.add(pair)
        seen_images.add(image)
        supports = (_nearest(points, image, episodes.support[episode, one]) for one in (true, other))
        found.append(WrongQuery(episode, image, *pair, float(margins[row, true, query]), *supports))
        if len(found) == most:
            break
    return found


def _some(episodes: EpisodeSet, rows: NDArray[np.int64]) -> EpisodeSet:
    return EpisodeSet(episodes.support[rows], episodes.query[rows], episodes.classes[rows])


def _margins(
    points: Points, episodes: EpisodeSet, guess: NDArray[np.int64], classifier: Classifier
) -> NDArray[np.float64]:
    """Score of the predicted class minus score of the true class: (E, n_way, n_query), 0 where they are the same."""
    n_way, k_shot = episodes.support.shape[1:]
    labels, parts, start = torch.arange(n_way).repeat_interleave(k_shot), [np.zeros((0, *guess.shape[1:]))], 0
    for part in chunks(episodes) if len(guess) else ():
        support, query = (points.values[points.rows(ids)].flatten(1, 2) for ids in part[:2])
        scores = classifier(support, labels, query, n_way).double().reshape(*part.query.shape, n_way)
        top = torch.from_numpy(guess[start : start + len(scores)])[..., None]
        true = torch.arange(n_way)[None, :, None, None].expand_as(top)
        parts.append((scores.gather(-1, top) - scores.gather(-1, true)).squeeze(-1).clamp_min(0).numpy())
        start += len(scores)
    return np.concatenate(parts)


def _nearest(points: Points, image: int, support: NDArray[np.int64]) -> int:
    query = points.values[points.rows(np.array([image]))]
    distances = (points.values[points.rows(support)] - query).double().square().sum(1)
    return int(support[int(distances.argmin())])
