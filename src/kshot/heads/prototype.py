"""Nearest class mean."""

import torch
from torch import Tensor

from kshot.distances import squared_euclidean


def prototype_head(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Minus the squared Euclidean distance to each class's mean (Snell et al. 2017, eq. 2, arXiv:1703.05175).

    Shapes as in `kshot.heads`.
    """
    return -squared_euclidean(query, class_means(support, labels, n_way))


def class_means(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
    """Mean of each class: (E, S, D) and (S,) to (E, n_way, D)."""
    member = torch.nn.functional.one_hot(labels, n_way).to(support.dtype)
    return torch.einsum("sw,esd->ewd", member / member.sum(0), support)
