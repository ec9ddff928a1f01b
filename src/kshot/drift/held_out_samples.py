"""Draws samples of held-out images in the shape of a new sample: as many classes, images and groups.

Held-out images are of classes that the model has never seen. Classes, not images, are drawn, because images of one
class are similar and carry less information than their number suggests.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 500


class Shape(NamedTuple):
    """The shape of a sample: the number of images of each class, and the number of groups; 0 groups if unknown."""

    counts: tuple[int, ...]
    groups: int = 0


def held_out_samples(
    labels: NDArray[np.int64], groups: Sequence[str], shape: Shape, generator: np.random.Generator, draws: int = DRAWS
) -> Iterator[NDArray[np.int64]]:
    """Draw rows of held-out images in the shape of a new sample, `draws` times.

    labels (N,) of the held-out images; groups[c], the group of their class c, '' for none. If the number of groups of
    the new sample is unknown, every other sample is from a single group.

    A drawn sample has somewhat fewer classes than the new one, n' instead of n of the K held-out ones, because it is
    drawn without replacement from the classes that also set the limits: the variance of its mean, 1/n' - 1/K, then
    equals that of a new sample's, 1/n + 1/K.
    """
    rows = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    members: dict[str, list[int]] = {}
    for label in rows:
        members.setdefault(groups[label], []).append(label)
    named = [group for group in members if group and len(members[group]) > 1]
    new = len(shape.counts)
    # Never below two classes: a task needs at least two.
    n_way = max(min(new, 2), int(new * len(rows) / (len(rows) + 2 * new)))
    for number in range(draws):
        wanted = shape.groups or (1 if number % 2 else 0)
        pool = list(rows)
        if wanted and named:
            chosen = generator.permutation(len(named))[:wanted]
            pool = [label for place in chosen for label in members[named[place]]]
        classes = generator.permutation(pool)[:n_way]
        counts = generator.permutation(np.array(shape.counts))[: len(classes)]
        yield np.concatenate(
            [generator.permutation(rows[int(label)])[:count] for label, count in zip(classes, counts, strict=True)]
        )
