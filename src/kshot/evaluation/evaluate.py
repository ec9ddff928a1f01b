"""Few-shot evaluation: embeds every image once and predicts every episode by gathering and one batched product."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.classifiers.classifier import Classifier
from kshot.classifiers.prototype import prototype_scores
from kshot.data.batches import Pixels
from kshot.data.drawers import Ids
from kshot.data.episodes import EpisodeSet
from kshot.nets.embedding import Embeds, embed
from kshot.nets.points import Points


def embed_once(network: Embeds, images: Pixels, *ids: Ids) -> Points:
    """Embed every image in any of `ids`, each only once."""
    wanted = np.unique(np.concatenate([part.ravel() for part in ids]))
    return Points(wanted, embed(network, images, wanted))


def predict_episodes(points: Points, episodes: EpisodeSet, classifier: Classifier = prototype_scores) -> Tensor:
    """Predict the class of each query with `classifier`, one of `kshot.classifiers` or a method's scores.

    Returns (E, n_way, n_query) int64, positions in the episode's classes; the truth of entry [e, c, q] is c.
    """
    # A faster implementation of the prototype classifier's predictions.
    fast = classifier is prototype_scores
    predict = _nearest_prototype if fast else functools.partial(_by_classifier, classifier)
    points = centred(points) if fast else points
    return torch.cat([predict(points, part) for part in chunks(episodes)])


def centred(points: Points) -> Points:
    """Shift the points' mean to the origin: Euclidean distances stay, and float32 products lose no digits."""
    return points._replace(values=points.values - points.values.mean(0, dtype=torch.float64).to(points.values.dtype))


def accuracies(predicted: Tensor) -> NDArray[np.float64]:
    """Share of correct predictions of each episode: (E, n_way, n_query) of `predict_episodes` to (E,)."""
    right = predicted == torch.arange(predicted.shape[1])[None, :, None]
    return right.double().mean((1, 2)).numpy()


def _nearest_prototype(points: Points, episodes: EpisodeSet) -> Tensor:
    means = points.values[points.rows(episodes.support)].mean(2)
    query = points.values[points.rows(episodes.query)]
    # |q - p|² without the |q|² that all classes share; near the origin, where the two terms do not cancel.
    scores = torch.einsum("ewqd,evd->ewqv", query, means) - means.square().sum(-1)[:, None, None, :] / 2
    return scores.argmax(-1)


def _by_classifier(classifier: Classifier, points: Points, episodes: EpisodeSet) -> Tensor:
    n_way, k_shot = episodes.support.shape[1:]
    support, query = (points.values[points.rows(ids)].flatten(1, 2) for ids in episodes[:2])
    scores = classifier(support, torch.arange(n_way).repeat_interleave(k_shot), query, n_way)
    return scores.argmax(-1).reshape(episodes.query.shape)


def chunks(episodes: EpisodeSet, numbers: int = 2**22) -> Iterator[EpisodeSet]:
    """Split episodes into parts whose gathered embeddings, `numbers` floats if each has 64, fit the CPU cache."""
    size = max(1, numbers // 64 // (episodes.support[0].size + episodes.query[0].size))
    for start in range(0, len(episodes.support), size):
        stop = start + size
        yield EpisodeSet(episodes.support[start:stop], episodes.query[start:stop], episodes.classes[start:stop])
