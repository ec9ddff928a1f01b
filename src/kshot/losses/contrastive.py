"""Contrastive loss over all pairs of a batch."""

import torch
from torch import Tensor

from kshot.distances import root, squared_euclidean
from kshot.losses.arguments import check_batch, check_margin


def contrastive_loss(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over all pairs i < j of `y d² + (1 - y) max(0, margin - d)²` (Hadsell et al. 2006, eq. 4, without halves).

    embeddings (B, D) floating; labels (B,) integer; d Euclidean; y is 1 where the labels agree. The mean counts every
    pair, also those that are zero, so that its scale does not move while training clears the margin. Returns a scalar,
    0 for a batch without pairs. Raises ValueError for shapes that do not match or a margin below zero.
    """
    check_batch(embeddings, labels)
    check_margin(margin)
    first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=embeddings.device)
    squared = squared_euclidean(embeddings, embeddings)[first, second]
    same = (labels[first] == labels[second]).to(squared.dtype)
    apart = (margin - root(squared)).clamp_min(0).square()
    return (same * squared + (1 - same) * apart).sum() / max(1, len(first))
