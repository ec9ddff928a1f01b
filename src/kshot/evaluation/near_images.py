"""Checks a labelled set of embedded images: near-duplicates, and labels that their neighbours contradict."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.drawers import Ids

NEIGHBOURS = 5
# A pair is a near-duplicate if it is nearer than this share of the median distance from an image to its nearest one. On
# 3,676 photographs of groceries, pairs below it are two shots of one arrangement, or one shot cropped and saved again.
DUPLICATE_SHARE = 0.55
AGREEING = 3  # of NEIGHBOURS that are of the suspected class, none being of the image's own


class Neighbours(NamedTuple):
    """The nearest other images of each image, nearest first: `ids` (N, K), Euclidean `distances` (N, K)."""

    ids: Ids
    distances: NDArray[np.float64]


class Duplicate(NamedTuple):
    """Two images, first < second, and their distance."""

    first: int
    second: int
    distance: float


class WrongLabel(NamedTuple):
    """An image that lies among another class.

    suspected  label of that class
    neighbour  the nearest image of that class
    ratio      distance to that class's mean / distance to the mean of the others of the image's own class, below 1
    """

    image: int
    suspected: int
    neighbour: int
    ratio: float


def nearest_images(points: Tensor, count: int = NEIGHBOURS, block: int = 512) -> Neighbours:
    """The `count` nearest other images of each of points (N, D), or all others if they are fewer; N at least 2."""
    points = points - points.mean(0)  # near the origin, float32 products lose no digits
    squares, count = points.square().sum(1), min(count, len(points) - 1)
    ids, distances = [], []
    for start in range(0, len(points), block):
        part = points[start : start + block]
        squared = squares[None, :] - 2 * part @ points.T
        squared[torch.arange(len(part)), torch.arange(start, start + len(part))] = torch.inf
        near = squared.topk(count, largest=False).indices
        # Exact for the few that were found: copies of one file have distance 0.
        exact = (points[near] - part[:, None]).double().square().sum(-1).sqrt()
        order = exact.argsort(dim=1, stable=True)
        ids.append(near.gather(1, order))
        distances.append(exact.gather(1, order))
    return Neighbours(torch.cat(ids).numpy(), torch.cat(distances).numpy())


def near_duplicates(near: Neighbours) -> list[Duplicate]:
    """Pairs at a distance of 0, or below DUPLICATE_SHARE of the median distance to the nearest image; nearest first."""
    limit = DUPLICATE_SHARE * float(np.median(near.distances[:, 0]))
    rows, places = np.nonzero((near.distances < limit) | (near.distances == 0))
    found = {
        (min(row, other), max(row, other)): float(near.distances[row, place])
        for row, place in zip(rows.tolist(), places.tolist(), strict=True)
        for other in [int(near.ids[row, place])]
    }
    return sorted((Duplicate(*pair, distance) for pair, distance in found.items()), key=lambda one: (one.distance, one))


def wrong_labels(points: Tensor, labels: Ids, near: Neighbours) -> list[WrongLabel]:
    """Images whose label is likely wrong, by leaving each image out; the lowest ratio first.

    points (N, D); labels (N,) in [0, C). An image is listed if the mean of another class is nearer than the mean of the
    other images of its own class, and among its nearest images at least AGREEING are of that class and none of its own.
    An image that is alone in its class is not listed.
    """
    values, owner = points.double(), torch.from_numpy(labels)
    classes = int(labels.max()) + 1
    sums = torch.zeros(classes, values.shape[1], dtype=torch.float64).index_add_(0, owner, values)
    sizes = owner.bincount(minlength=classes).double()
    means = sums / sizes.clamp_min(1)[:, None]
    found = []
    for image in np.flatnonzero((labels[near.ids] != labels[:, None]).all(1)).tolist():
        own = int(labels[image])
        if sizes[own] < 2:
            continue
        others = (means - values[image]).square().sum(1).masked_fill(sizes == 0, torch.inf)
        others[own] = torch.inf
        suspected = int(others.argmin())
        to_own = ((sums[own] - values[image]) / (sizes[own] - 1) - values[image]).square().sum()
        agreeing = near.ids[image][labels[near.ids[image]] == suspected]
        if float(others[suspected]) < float(to_own) and len(agreeing) >= AGREEING:
            ratio = float((others[suspected] / to_own).sqrt())
            found.append(WrongLabel(image, suspected, int(agreeing[0]), ratio))
    return sorted(found, key=lambda one: (one.ratio, one.image))
