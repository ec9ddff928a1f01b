"""What an embedding space looks like: spread within and between classes, and how well neighbours agree."""

from typing import NamedTuple

import torch
from torch import Tensor

from kshot.distances import squared_euclidean


class Geometry(NamedTuple):
    """Figures of a labelled, embedded set.

    within      mean Euclidean distance between two images of a class
    between     mean Euclidean distance between two images of different classes
    ratio       within / between: small is good
    map_at_r    mean average precision at R, R the other images of the query's class (Musgrave et al. 2020,
                arXiv:2003.08505), in [0, 1]
    recall_at_1 share of images whose nearest neighbour is of their class
    """

    within: float
    between: float
    ratio: float
    map_at_r: float
    recall_at_1: float


def geometry(points: Tensor, labels: Tensor, block: int = 1024) -> Geometry:
    """points (M, D) float32; labels (M,) int64. Every image is compared with all others, in blocks of `block` rows.

    Images whose class has no second one are left out as queries. Figures that have nothing to average are NaN.
    """
    sizes = labels.bincount()
    most = int(sizes.max()) - 1 if len(labels) else 0
    sums = torch.zeros(2, dtype=torch.float64)
    counts = torch.zeros(2, dtype=torch.float64)
    precision, nearest, queries = 0.0, 0.0, 0
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        squared = squared_euclidean(points[rows], points)
        same = labels[rows, None] == labels[None, :]
        itself = torch.arange(start, start + len(squared))[:, None] == torch.arange(len(points))[None, :]
        distance = squared.sqrt()
        for kind, mask in enumerate((same & ~itself, ~same)):
            sums[kind] += distance[mask].sum(dtype=torch.float64)
            counts[kind] += mask.sum()
        others = sizes[labels[rows]] - 1
        asked = others > 0
        if most and asked.any():
            order = squared.masked_fill(itself, torch.inf).topk(most, largest=False).indices[asked]
            hits = labels[order] == labels[rows][asked][:, None]
            rank = torch.arange(1, most + 1)
            inside = rank[None, :] <= others[asked][:, None]
            precise = hits.cumsum(1) / rank * (hits & inside)
            precision += float((precise.sum(1) / others[asked]).sum())
            nearest += float(hits[:, 0].sum())
            queries += int(asked.sum())
    within, between = (float(total / count) if count else torch.nan for total, count in zip(sums, counts, strict=True))
    answered = queries or torch.nan
    return Geometry(
        within, between, within / between if between else torch.nan, precision / answered, nearest / answered
    )


def project(points: Tensor) -> Tensor:
    """The two directions of greatest spread (principal components): (M, D) to (M, 2), signs fixed."""
    centred = (points - points.mean(0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)
    axes = directions[:, -2:].flip(1)
    # An eigenvector's sign is arbitrary: the largest entry is made positive, so that a picture stays as it is.
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    flat = centred @ axes
    return torch.nn.functional.pad(flat, (0, 2 - flat.shape[1])).float()
