"""Episodes with the support by one drawer and the queries by another, as in Lake et al. 2015.

A drawer is the source of an image: a person, a camera, a site. These episodes test whether a model recognises a class
across drawers. In episodes of many drawers the support also shows several drawers of each class.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kshot.errors import DataError

Ids = NDArray[np.integer[Any]]
NOBODY = -1  # the drawer of an image without a named drawer


class Pairs(NamedTuple):
    """The ordered pairs of drawers that an episode can be drawn from.

    classes  (C,), the classes
    teaches  (C, D), whether a drawer has k_shot images of a class
    asks     (C, D), whether a drawer has n_query images of a class
    pairs    (P, 2), a drawer of the support and a different drawer of the queries
    most     the largest number of classes that a pair shares
    """

    classes: Ids
    teaches: NDArray[np.bool_]
    asks: NDArray[np.bool_]
    pairs: Ids
    most: int

    def shared(self, pair: Ids) -> Ids:
        """The classes that an episode of `pair` can have."""
        both: Ids = self.classes[self.teaches[:, pair[0]] & self.asks[:, pair[1]]]
        return both


def pairs_of_drawers(drawers: Sequence[Ids], classes: Ids, *, n_way: int, k_shot: int, n_query: int) -> Pairs:
    """The pairs that share at least `n_way` of `classes`.

    drawers: for each class of the data, the drawer of each of its images (0 or more, or `NOBODY`).
    """
    width = 1 + max((int(drawers[place].max(initial=NOBODY)) for place in classes), default=NOBODY)
    counts = np.array([np.bincount(named(drawers[place]), minlength=width) for place in classes])
    counts = counts.reshape(len(classes), width)
    teaches, asks = counts >= k_shot, counts >= n_query
    shared = teaches.T.astype(np.float32) @ asks.astype(np.float32)  # exact up to 2^24 classes
    np.fill_diagonal(shared, 0)
    return Pairs(classes, teaches, asks, np.argwhere(shared >= n_way), int(shared.max(initial=0)))


def named(drawers: Ids) -> Ids:
    """The entries that are a named drawer."""
    some: Ids = drawers[drawers != NOBODY]
    return some


def draw_by_drawer(
    members: Sequence[Ids],
    drawers: Sequence[Ids],
    pools: Sequence[Ids],
    *,
    n_way: int,
    k_shot: int,
    n_query: int,
    n_episodes: int,
    generator: np.random.Generator,
) -> tuple[Ids, Ids, Ids]:
    """Draw `n_episodes` and return support (E, n_way, k_shot), query (E, n_way, n_query) and the classes (E, n_way).

    members: the image ids of each class. drawers: the drawer of each of these images. pools: sets of classes that may
    be in one episode. A pool is drawn with probability proportional to its number of classes, then a pair of its
    drawers, then classes that both have. Raises DataError if no two drawers share `n_way` classes.
    """
    found = [pairs_of_drawers(drawers, pool, n_way=n_way, k_shot=k_shot, n_query=n_query) for pool in pools]
    found = [each for each in found if len(each.pairs)]
    if not found:
        raise DataError(
            f"by_drawer needs two drawers that share {n_way} classes, the one with {k_shot} and the other with "
            f"{n_query} images of each, but there are none: lower n_way in params.yaml, or name more drawers in the "
            "manifest's column drawer"
        )
    weight = np.array([len(each.classes) for each in found], dtype=np.float64)
    support = np.empty((n_episodes, n_way, k_shot), np.int32)
    query = np.empty((n_episodes, n_way, n_query), np.int32)
    chosen = np.empty((n_episodes, n_way), np.int64)
    for episode, place in enumerate(generator.choice(len(found), n_episodes, p=weight / weight.sum())):
        pair = generator.choice(found[place].pairs)
        chosen[episode] = generator.choice(found[place].shared(pair), n_way, replace=False)
        for way, of_class in enumerate(chosen[episode]):
            by = drawers[of_class]
            for images, drawer, count in ((support, pair[0], k_shot), (query, pair[1], n_query)):
                images[episode, way] = generator.choice(members[of_class][by == drawer], count, replace=False)
    return support, query, chosen
