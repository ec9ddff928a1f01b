"""Prototypical loss."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kshot.distances import squared_euclidean
from kshot.losses.arguments import check_batch
from kshot.prototypes import prototypes


def prototypical_loss(support: Tensor, support_labels: Tensor, query: Tensor, query_labels: Tensor) -> Tensor:
    """Mean over queries of the cross-entropy of a softmax over minus squared distances (Snell et al. 2017, eq. 2).

    support (S, D) and query (Q, D) floating; labels (S,) and (Q,) integer, any values, every query label among the
    support's. Shots may differ from class to class. Returns a scalar, 0 without queries. Raises ValueError for shapes
    that do not match and for a query whose class has no support.

    >>> support, query = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0]])
    >>> prototypical_loss(support, torch.tensor([0, 1]), query, torch.tensor([0]))  # log(1 + exp(-4))
    tensor(0.0181)
    """
    check_batch(support, support_labels)
    check_batch(query, query_labels)
    classes, support_index = support_labels.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    if not torch.isin(query_labels, classes).all():
        missing = sorted(set(query_labels.tolist()) - set(classes.tolist()))
        raise ValueError(f"query labels {missing[:5]} have no support; every query's class needs a support image")
    if not len(query):
        return (query.sum() + support.sum()) * 0
    query_index = torch.searchsorted(classes, query_labels.to(classes.dtype))
    wide = support.float() if support.dtype in (torch.float16, torch.bfloat16) else support
    logits = -squared_euclidean(query, prototypes(wide, support_index, len(classes)))
    return cross_entropy(logits, query_index)
