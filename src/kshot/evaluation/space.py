"""Figures of an embedding space: spread within and between classes, and agreement of neighbours."""

import math
from collections.abc import Sequence, Sized
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.distances import squared_euclidean
from kshot.mining.counts import count_triplets
from kshot.nets.pca import principal_axes

HUB_NEIGHBOURS = 10  # of each image, as in the paper on hubs
BLOCK, PAIRS = 1024, 2**23  # rows compared with all at once, and the pairs of images that limit them: 0.5 GB


class Geometry(NamedTuple):
    """Figures of a labelled, embedded set.

    within          mean Euclidean distance between two images of a class
    between         mean Euclidean distance between two images of different classes
    ratio           within / between: smaller is better
    violations      share of all triplets whose negative is nearer to the anchor than the positive
    alignment       mean squared distance between two images of a class, at unit length: smaller is better
    uniformity      log of the mean of exp(-2 d²) over pairs, at unit length: low means well spread (both Wang and Isola
                    2020, arXiv:2005.10242)
    effective_rank  exp of the entropy of the singular values: how many directions are used (Roy and Vetterli 2007)
    hubness         skewness of how often an image is among the 10 nearest of others: 0 if none is a hub
                    (Radovanović et al. 2010, JMLR 11)
    map_at_r        mean average precision at R, R the other images of the query's class (Musgrave et al. 2020,
                    arXiv:2003.08505), in [0, 1]
    recall_at_1     share of images whose nearest neighbour has the same class
    """

    within: float
    between: float
    ratio: float
    violations: float
    alignment: float
    uniformity: float
    effective_rank: float
    hubness: float
    map_at_r: float
    recall_at_1: float


def geometry(points: Tensor, labels: Tensor, block: int | None = None) -> Geometry:
    """Compute the figures by comparing every image with all others, in blocks of `block` rows, by default of PAIRS.

    Time grows with the square of M: 60 s for 20,000 images on one core. `random_classes` limits it.
    points (M, D) float32; labels (M,) int64. Images that are alone in their class are not used as queries. Figures that
    have nothing to average are NaN.
    """
    block = block or max(1, min(BLOCK, PAIRS // max(1, len(points))))
    sums = _Sums(len(points))
    sizes = labels.bincount()
    unit = torch.nn.functional.normalize(points, dim=1)
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        same = labels[rows, None] == labels[None, :]
        itself = torch.arange(start, start + len(same))[:, None] == torch.arange(len(points))[None, :]
        squared = squared_euclidean(points[rows], points).masked_fill(itself, 0)
        sums.add_pairs(squared.sqrt(), squared_euclidean(unit[rows], unit), same & ~itself, ~same)
        sums.add_neighbours(squared.masked_fill(itself, torch.inf), labels, rows, sizes[labels[rows]] - 1)
    return sums.figures(effective_rank(points))


class _Sums:
    """The sums that `geometry` accumulates block by block."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.distances, self.squares, self.pairs = (torch.zeros(2, dtype=torch.float64) for _ in range(3))
        self.spread = self.violated = self.triplets = self.precision = self.nearest = self.queries = 0.0
        self.occurrences = torch.zeros(images, dtype=torch.float64)

    def add_pairs(self, distance: Tensor, at_unit: Tensor, positive: Tensor, negative: Tensor) -> None:
        near = (-2 * at_unit).exp()
        for kind, mask in enumerate((positive, negative)):
            # Not `distance[mask]`, which takes most of the time of all figures.
            self.distances[kind] += distance.where(mask, 0).sum(dtype=torch.float64)
            self.squares[kind] += at_unit.where(mask, 0).sum(dtype=torch.float64)
            self.spread += float(near.where(mask, 0).sum(dtype=torch.float64))
            self.pairs[kind] += mask.sum()
        found = count_triplets(distance, positive, negative, 0.0, semi_hard=False)
        self.violated += float(found.active)
        self.triplets += float(found.valid)

    def add_neighbours(self, squared: Tensor, labels: Tensor, rows: slice, others: Tensor) -> None:
        """Add a block of rows.

        squared (b, M): squared distances, infinite from an image to itself; others (b,): how many other images the
        class of each row has.
        """
        is_query, most = others > 0, int(others.max()) if len(others) else 0
        order = squared.topk(min(max(most, HUB_NEIGHBOURS), self.images - 1), largest=False).indices
        self.occurrences += order[:, :HUB_NEIGHBOURS].flatten().bincount(minlength=self.images)
        if not is_query.any():
            return
        hits = (labels[order[:, :most]] == labels[rows][:, None])[is_query]
        rank = torch.arange(1, most + 1)
        inside = rank[None, :] <= others[is_query][:, None]
        precise = hits.cumsum(1) / rank * (hits & inside)
        self.precision += float((precise.sum(1) / others[is_query]).sum())
        self.nearest += float(hits[:, 0].sum())
        self.queries += int(is_query.sum())

    def figures(self, rank: float) -> Geometry:
        within, between = _ratio(self.distances, self.pairs)
        alignment, _ = _ratio(self.squares, self.pairs)
        queries = self.queries or math.nan
        centred = self.occurrences - self.occurrences.mean()
        deviation = float(centred.square().mean().sqrt()) if self.images else 0.0
        return Geometry(
            within=within,
            between=between,
            ratio=within / between if between else math.nan,
            violations=self.violated / (self.triplets or math.nan),
            alignment=alignment,
            uniformity=math.log(self.spread / pairs) if (pairs := float(self.pairs.sum())) else math.nan,
            effective_rank=rank,
            hubness=float((centred / deviation).pow(3).mean()) if deviation else math.nan,
            map_at_r=self.precision / queries,
            recall_at_1=self.nearest / queries,
        )


def labels_of(members: Sequence[Sized]) -> Tensor:
    """The label of each image (M,), for images grouped by class: 0 for the first class and so on."""
    return torch.arange(len(members)).repeat_interleave(torch.tensor([len(images) for images in members]))


def random_classes(members: Sequence[NDArray[np.int64]], most: int) -> list[NDArray[np.int64]]:
    """The images of random classes, the same at each call, at most `most` images in all; of a class at most half."""
    few = [members[place][: most // 2] for place in np.random.default_rng(0).permutation(len(members))]
    return [ids for ids, total in zip(few, np.cumsum([len(ids) for ids in few]), strict=True) if total <= most]


def rounded(figures: Geometry) -> dict[str, float | None]:
    """The figures rounded to six decimal places for a file; None for figures that have nothing to average."""
    return {name: round(value, 6) if math.isfinite(value) else None for name, value in figures._asdict().items()}


def effective_rank(points: Tensor) -> float:
    """Effective number of directions in which points (M, D) spread around their mean.

    Between 1 and min(M - 1, D); NaN if they do not spread.
    """
    if len(points) < 2:
        return math.nan
    exact = points.double()
    centred = exact - exact.mean(0)
    narrow = centred.T @ centred if centred.shape[0] >= centred.shape[1] else centred @ centred.T
    values = torch.linalg.eigvalsh(narrow).clamp_min(0).sqrt()
    if not values.sum():
        return math.nan
    share = values / values.sum()
    return float(torch.special.entr(share).sum().exp())


def _ratio(sums: Tensor, counts: Tensor) -> tuple[float, float]:
    first, second = (float(total / count) if count else math.nan for total, count in zip(sums, counts, strict=True))
    return first, second


def project(points: Tensor) -> Tensor:
    """Project on the first two principal components: (M, D) to (M, 2), zeros if there are fewer."""
    dim = min(2, points.shape[1], len(points) - 1)
    if dim < 1:
        return points.new_zeros(len(points), 2)
    found = principal_axes(points, dim)
    flat = (points.double() @ found.axes.T.double() + found.offset.double()).to(points.dtype)
    return torch.nn.functional.pad(flat, (0, 2 - dim))
