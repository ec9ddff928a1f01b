"""Contrastive loss over the pairs of a batch: all of them, random ones, or the hard ones."""

import torch
from torch import Tensor

from kshot.distances import DISTANCES
from kshot.losses.arguments import check_batch, check_distance, check_margin
from kshot.losses.terms import Terms, empty_terms
from kshot.mining.pairs import PAIR_MININGS
from kshot.mining.relations import relations


def contrastive_loss(
    embeddings: Tensor,
    labels: Tensor,
    margin: float,
    mining: str = "all_pairs",
    distance: str = "euclidean",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean over mined pairs of `y d² + (1 - y) max(0, margin - d)²` (Hadsell et al. 2006, eq. 4, without halves).

    embeddings (B, D) floating; labels (B,) integer; y is 1 where the labels agree; d is Euclidean or, for
    distance="cosine", 1 - cos. `mining` is one of `kshot.mining.pairs.PAIR_MININGS`. The mean includes mined pairs
    whose loss is zero, so that its scale does not change as training clears the margin. Returns a scalar, 0 if there is
    no pair. Raises ValueError for shapes that do not match, a negative margin, and an unknown mining or distance.

    >>> points, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    >>> contrastive_loss(points, labels, margin=4.0)  # (1² + 1² + 2²) / 3
    tensor(2.)
    """
    return contrastive_terms(embeddings, labels, margin, mining, distance, generator).loss


def contrastive_terms(
    embeddings: Tensor,
    labels: Tensor,
    margin: float,
    mining: str = "all_pairs",
    distance: str = "euclidean",
    generator: torch.Generator | None = None,
) -> Terms:
    """The loss and the share of the mined negative pairs that lie inside the margin.

    Arguments as `contrastive_loss`.
    """
    check_batch(embeddings, labels)
    check_margin(margin)
    check_distance(distance)
    if distance == "squared_euclidean":
        raise ValueError("distance is 'squared_euclidean'; the contrastive loss squares by itself: say 'euclidean'")
    if mining not in PAIR_MININGS:
        raise ValueError(f"mining is {mining!r}; needs one of {', '.join(PAIR_MININGS)}")
    if not len(embeddings):
        return empty_terms(embeddings)
    distances = DISTANCES[distance](embeddings, embeddings)
    pairs = PAIR_MININGS[mining](distances.detach(), *relations(labels), generator)
    # How far a pair is from its target: d for a positive pair (target 0), margin - d for a negative one.
    short = torch.where(pairs.positive, distances, (margin - distances).clamp_min(0))
    short = short * (pairs.positive | pairs.negative)
    negatives = pairs.negative.sum()
    active = (pairs.negative & (short.detach() > 0)).sum() / negatives.clamp_min(1)
    return Terms(short.square().sum() / (pairs.positive.sum() + negatives).clamp_min(1), active)
