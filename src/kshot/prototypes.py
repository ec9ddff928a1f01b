"""Prototypes: the mean embedding of each class's support."""

import torch
from torch import Tensor


def prototypes(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
    """Mean embedding of each class (Snell et al. 2017, eq. 1, arXiv:1703.05175).

    support (..., N, D); labels (N,) int64 in [0, n_way), every class present. Returns (..., n_way, D).
    """
    member = torch.nn.functional.one_hot(labels, n_way).to(support.dtype)
    return (member / member.sum(0)).T @ support
