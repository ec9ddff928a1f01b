"""PT-MAP: power transform, then optimal transport from queries to classes. Transductive, and classes are balanced."""

import torch
from torch import Tensor

from kshot.distances import squared_euclidean, unit_length
from kshot.prototypes import prototypes

STEPS, RATE, SHARPNESS = 20, 0.2, 10.0  # of the means, of their moves, and lambda of the transport: the paper's
POWER, EPSILON = 0.5, 1e-6
SINKHORN_STEPS, LOOK_EVERY, TOLERANCE = 1000, 10, 1e-6


def pt_map_head(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Log of the transport plan after moving class means to what it assigns them (Hu et al. 2021, arXiv:2006.03806).

    Each episode must hold as many queries of one class as of another: the plan gives every class its equal share, which
    is what this head knows and an inductive one does not. Embeddings must not be negative (after a ReLU). Shapes as in
    `kshot.heads`. Raises ValueError for negative embeddings and for queries that cannot be shared equally.
    """
    if support.min() < 0 or query.min() < 0:
        raise ValueError("pt_map was given negative embeddings; needs a backbone that ends in a ReLU")
    if query.shape[1] % n_way:
        raise ValueError(f"pt_map was given {query.shape[1]} queries of {n_way} classes; needs as many of each class")
    support, query = (_gaussian(part) for part in (support, query))
    shots = torch.nn.functional.one_hot(labels, n_way).to(support.dtype).sum(0)[:, None]
    known = prototypes(support, labels, n_way) * shots
    means = known / shots
    for _ in range(STEPS):
        plan = sinkhorn(squared_euclidean(query, means), SHARPNESS)
        wanted = (known + plan.transpose(1, 2) @ query) / (shots + plan.sum(1)[..., None])
        means = means + RATE * (wanted - means)
    return sinkhorn(squared_euclidean(query, means), SHARPNESS).clamp_min(1e-12).log()


def sinkhorn(cost: Tensor, sharpness: float) -> Tensor:
    """The transport plans of a batch: rows sum to 1, columns to Q / n_way (Cuturi 2013, arXiv:1306.0895).

    cost (E, Q, n_way), the squared distances of points of unit length: from 0 to 4, whose exponents float32 holds.
    Returns (E, Q, n_way). All episodes are scaled together, and looked at every few steps only: asking a GPU after each
    one whether it is done would take longer than the steps.
    """
    kernel = (-sharpness * (cost - cost.amin(2, keepdim=True))).exp()
    # Laid out for the products by columns: without it they take several times as long.
    transposed = kernel.transpose(1, 2).contiguous()
    share = cost.shape[1] / cost.shape[2]
    of_query = 1 / kernel.sum(2, keepdim=True)
    for step in range(SINKHORN_STEPS):
        of_class = share / (transposed @ of_query)
        row_sums = kernel @ of_class
        if step % LOOK_EVERY == 0 and float((of_query * row_sums - 1).abs().max()) < TOLERANCE:
            break
        of_query = 1 / row_sums
    return of_query * kernel * of_class.transpose(1, 2)


def _gaussian(points: Tensor) -> Tensor:
    """Powers of 1/2, unit length, centred on the set's mean, unit length again (section 3.2)."""
    powered = unit_length((points + EPSILON).pow(POWER))
    return unit_length(powered - powered.mean(1, keepdim=True))
