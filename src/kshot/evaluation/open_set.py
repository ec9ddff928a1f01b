"""Open-set recognition: a distance beyond which a query belongs to no class of the support, and its accuracy.

`between` is the distance of queries to class means, of `kshot.evaluation.mean_distance`.

Each episode borrows the queries of the following episode (the last borrows the first's) as unknown queries, skipping
shared classes. They are as fixed as the episodes, and as many as the known queries or nearly.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kshot.data.episodes import EpisodeSet
from kshot.evaluation.evaluate import chunks
from kshot.evaluation.mean_distance import MeanDistance
from kshot.nets.points import Points


class OpenSet(NamedTuple):
    """Figures of open-set recognition.

    threshold     distance to the nearest class mean up to which a query counts as known
    accepted      share of the known queries that it accepts, in [0, 1]
    false_accept  share of the unknown queries that it accepts, in [0, 1]
    auroc         area under the receiver operating characteristic of the distance: chance that an unknown query lies
                  farther than a known one; 0.5 is guessing
    unknown       how many unknown queries there were

    threshold, accepted and false_accept are None if there was no data to set a threshold on.
    """

    threshold: float | None
    accepted: float | None
    false_accept: float | None
    auroc: float
    unknown: int


def open_set(points: Points, episodes: EpisodeSet, threshold: float | None, between: MeanDistance) -> OpenSet | None:
    """Measure how well distance separates known queries from unknown ones; None if there are no unknown queries."""
    known = nearest_distance(points, episodes, between).flatten()
    borrowed = unknown_queries(episodes)
    unknown = nearest_distance(points, borrowed, between)[_is_unknown(borrowed, episodes)].flatten()
    if not len(unknown):
        return None
    auroc = area_under_roc(known, unknown)
    if threshold is None:
        return OpenSet(None, None, None, auroc, len(unknown))
    accepted, wrongly = (float((part <= threshold).double().mean()) for part in (known, unknown))
    return OpenSet(threshold, accepted, wrongly, auroc, len(unknown))


def calibrate(points: Points, episodes: EpisodeSet, accept: float, between: MeanDistance) -> float:
    """The smallest distance within which the share `accept` of the known queries of `episodes` lies."""
    distance = nearest_distance(points, episodes, between).flatten().sort().values
    return float(distance[max(0, int(np.ceil(accept * len(distance))) - 1)])


def area_under_roc(known: Tensor, unknown: Tensor) -> float:
    """The share of pairs whose unknown query lies farther than the known one; equal distances count half.

    That is the area under the curve (Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747).
    known (M,), unknown (N,): distances of one dtype, at least one each. Returns a number in [0, 1].
    """
    ordered = known.sort().values
    nearer = torch.searchsorted(ordered, unknown).double().mean()
    not_farther = torch.searchsorted(ordered, unknown, right=True).double().mean()
    return float((nearer + not_farther) / 2 / len(known))


def unknown_queries(episodes: EpisodeSet) -> EpisodeSet:
    """The support of each episode, with the queries and classes of the next episode."""
    return EpisodeSet(episodes.support, np.roll(episodes.query, -1, 0), np.roll(episodes.classes, -1, 0))


def nearest_distance(points: Points, episodes: EpisodeSet, between: MeanDistance) -> Tensor:
    """Distance of each query to the nearest class mean of its episode: (E, n_way, n_query)."""
    found = []
    for part in chunks(episodes):
        # In float64: far from the origin float32 has few digits left for a mean.
        means = points.values[points.rows(part.support)].mean(2, dtype=torch.float64)
        query = points.values[points.rows(part.query)]
        found.append(between(query.flatten(1, 2), means).amin(-1).reshape(query.shape[:3]))
    return torch.cat(found)


def _is_unknown(borrowed: EpisodeSet, episodes: EpisodeSet) -> Tensor:
    """(E, n_way): whether a class of `borrowed` is missing from the episode's classes."""
    return torch.from_numpy((borrowed.classes[:, :, None] != episodes.classes[:, None, :]).all(-1))
