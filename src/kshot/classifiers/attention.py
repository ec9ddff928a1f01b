"""Attention over the support: the classifier of Matching Networks."""

import torch
from torch import Tensor

from kshot.distances import cosine_similarity

EMPTY = 1e-12  # replaces an attention of zero, whose logarithm would be minus infinity


def attention_scores(
    support: Tensor, labels: Tensor, query: Tensor, n_way: int, temperature: float | Tensor = 1.0
) -> Tensor:
    """Log of each class's share of a softmax over cosines to the support (Vinyals et al. 2016, eq. 1 and 2).

    arXiv:1606.04080; cosines are divided by `temperature`, 1 in the paper. With unequal shots every class has the same
    weight, however many images it has. Shapes as in `kshot.classifiers`.
    """
    member = torch.nn.functional.one_hot(labels, n_way).to(support.dtype)
    weight = (cosine_similarity(query, support) / temperature).softmax(-1)
    share = weight @ (member / member.sum(0))
    return (share / share.sum(-1, keepdim=True)).clamp_min(EMPTY).log()
