"""LaplacianShot: queries near each other get the same class. Transductive."""

import torch
from torch import Tensor

from kshot.distances import squared_euclidean, unit_length
from kshot.errors import NotConverged
from kshot.prototypes import prototypes

# Number of bound updates. Stopping when the energy converges would make the episodes of a batch depend on each other.
# On clouds of five overlapping classes the last update moves no share by more than 1e-6.
STEPS, TOLERANCE = 20, 1e-3


def laplacian_shot_scores(
    support: Tensor, labels: Tensor, query: Tensor, n_way: int, weight: float = 0.7, neighbours: int = 2
) -> Tensor:
    """Log assignments that agree with the prototypes and among near queries (Ziko et al. 2020, arXiv:2006.15486).

    Embeddings are centred on their own set, support or query, and scaled to unit length. Prototypes are moved towards
    the queries (section 3.4). `weight` is the paper's lambda. `neighbours` is the paper's k minus one: the authors'
    code counts a query as the first of its own three. Shapes as in `kshot.classifiers`. Raises ValueError unless Q is
    above `neighbours`, and NotConverged if the last update still moves a share by more than TOLERANCE.
    """
    if query.shape[1] <= neighbours:
        raise ValueError(f"it compares queries with each other; needs {neighbours + 1} or more, got {query.shape[1]}")
    support, query = (unit_length(part - part.mean(1, keepdim=True)) for part in (support, query))
    means = _rectified(support, labels, query, n_way)
    unary = squared_euclidean(query, means)
    affinity = _nearest_neighbours(query, neighbours)
    assigned = (-unary).softmax(-1)
    for _ in range(STEPS):
        before = assigned
        scores = weight * affinity @ assigned - unary
        assigned = scores.softmax(-1)
    moved = float((assigned - before).abs().max())
    if not moved <= TOLERANCE:
        raise NotConverged(
            f"laplacian_shot still moves a query's share by {moved:.1g} after {STEPS} updates; needs {TOLERANCE:.0e}: "
            "take another classifier in evaluate.classifier"
        )
    return scores.log_softmax(-1)


def _rectified(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Prototypes of the support and the queries first assigned to it, weighted by their similarity (eq. 9)."""
    means = prototypes(support, labels, n_way)
    nearest = squared_euclidean(query, means).argmin(-1)
    everyone = torch.cat([support, query], 1)
    taken = torch.cat([labels.expand(len(query), -1), nearest], 1)
    member = torch.nn.functional.one_hot(taken, n_way).to(support.dtype)
    alike = (10 * unit_length(everyone) @ unit_length(means).transpose(1, 2)).exp() * member
    return unit_length((alike / alike.sum(1, keepdim=True)).transpose(1, 2) @ everyone)


def _nearest_neighbours(query: Tensor, k: int) -> Tensor:
    """(E, Q, Q): 1 where the column is among the row's k nearest others."""
    squared = squared_euclidean(query, query)
    squared = squared + torch.diag_embed(torch.full(squared.shape[:2], torch.inf, device=squared.device))
    nearest = squared.topk(k, largest=False).indices
    return torch.zeros_like(squared).scatter_(2, nearest, 1)
