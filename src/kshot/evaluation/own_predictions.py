"""Prediction by a method's own scores. Validation in training uses it, so training does not depend on `classifiers`."""

import functools

import torch
from torch import Tensor

from kshot.classifiers.classifier import Classifier
from kshot.classifiers.prototype import prototype_scores
from kshot.methods.method import Method

NUMBERS_AT_ONCE = 2**26  # in memory while a method predicts, 256 MiB of float32


def own_scorer(method: Method) -> Classifier:
    """The function that scores embedded episodes with `method`'s own scores."""
    # Evaluation has a faster implementation of this one.
    return prototype_scores if type(method).scores is Method.scores else functools.partial(_own_scores, method)


@torch.no_grad()
def _own_scores(method: Method, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """The method's scores, on its device, of as many episodes at a time as `NUMBERS_AT_ONCE` allows.

    An episode that exceeds it is scored part by part if its queries do not influence each other.
    """
    of_episode, queries = method.footprint(support.shape[1], query.shape[1], n_way), query.shape[1]
    size = max(1, NUMBERS_AT_ONCE // of_episode)
    if method.separate_queries and of_episode > NUMBERS_AT_ONCE:
        queries = max(1, queries * NUMBERS_AT_ONCE // of_episode)
    device = method.centre.device
    labels = labels.to(device)
    parts = [
        torch.cat(
            [
                method.scores(block_support.to(device), labels, part.to(device), n_way).to(query.device)
                for part in block_query.split(queries, 1)
            ],
            1,
        )
        for block_support, block_query in zip(
            support.split(size),  # type: ignore[no-untyped-call]
            query.split(size),  # type: ignore[no-untyped-call]
            strict=True,
        )
    ]
    return torch.cat(parts)
