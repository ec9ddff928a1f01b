"""Mining over a whole embedded set, in blocks: hardest negatives of each image, nearest classes of each class."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kshot.distances import squared_euclidean


class HardNegatives(NamedTuple):
    """The hardest negatives of each image, nearest first.

    indices (M, k)  int64, the nearest images of other classes
    squared (M, k)  their squared distances
    """

    indices: Tensor
    squared: Tensor


def hardest_negatives(points: Tensor, labels: Tensor, k: int, block: int = 1024) -> HardNegatives:
    """The k nearest images of other classes, by squared Euclidean distance, for every image.

    points (M, D) floating and finite; labels (M,) integer. Exact, in O(block x M) memory. Raises ValueError if an image
    has fewer than k negatives.

    >>> points, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    >>> hardest_negatives(points, labels, k=1)
    HardNegatives(indices=tensor([[2],
            [2],
            [1]]), squared=tensor([[9.],
            [4.],
            [4.]]))
    """
    most = len(labels) - int(labels.unique(return_counts=True)[1].max()) if len(labels) else 0  # type: ignore[no-untyped-call]
    if not 1 <= k <= most:
        raise ValueError(f"k is {k}; needs 1 to {most}, the fewest images of other classes that an image has")
    found = [
        squared.masked_fill(labels[rows, None] == labels, torch.inf).topk(k, dim=1, largest=False)
        for rows, squared in _blocks(points, block)
    ]
    return HardNegatives(torch.cat([part.indices for part in found]), torch.cat([part.values for part in found]))


def nearest_classes(points: Tensor, labels: Tensor, k: int, block: int = 1024) -> Tensor:
    """The k nearest other classes of every class, nearest first; ties go to the lower class.

    The distance between two classes is that between their two nearest images. Hard-class batches are drawn from these
    classes (Sohn 2016, "Improved deep metric learning with multi-class N-pair loss objective", hard negative class
    mining, puts classes that are confused into one batch). points (M, D) floating; labels (M,) int64, every class in
    [0, C) present. Returns (C, k) int64. Raises ValueError for a class without an image or k outside [1, C).

    >>> nearest_classes(torch.tensor([[0.0], [2.0], [3.0]]), torch.tensor([0, 1, 2]), k=1).flatten()
    tensor([1, 2, 1])
    """
    counts = labels.bincount()
    absent = (counts == 0).nonzero().flatten().tolist()
    if absent:
        raise ValueError(f"classes {absent[:5]} have no image; every class from 0 to {len(counts) - 1} needs one")
    if not 1 <= k < len(counts):
        raise ValueError(f"k is {k} of {len(counts)} classes; needs at least 1 and fewer than there are classes")
    # Each class is a row of its images; smaller classes repeat their first image, which leaves the minima unchanged.
    place = labels.argsort(stable=True)
    step = torch.arange(int(counts.max()), device=labels.device)
    members = place[(counts.cumsum(0) - counts)[:, None] + torch.where(step < counts[:, None], step, 0)]
    everyone, widest = points[members.flatten()], members.shape[1]
    rows = []
    for part in members.split(max(1, block // widest)):  # type: ignore[no-untyped-call]
        squared = squared_euclidean(points[part.flatten()], everyone)
        rows.append(squared.view(len(part), widest, len(counts), widest).amin((1, 3)))
    apart = torch.cat(rows).fill_diagonal_(torch.inf)
    return apart.sort(dim=1, stable=True).indices[:, :k]


def _blocks(points: Tensor, block: int) -> Iterator[tuple[slice, Tensor]]:
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        yield rows, squared_euclidean(points[rows], points)
