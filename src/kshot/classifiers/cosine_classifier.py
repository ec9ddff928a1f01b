"""A cosine classifier, fitted to the support of each episode."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from kshot.distances import cosine_similarity, unit_length
from kshot.prototypes import prototypes

SCALE, STEPS, RATE = 10.0, 100, 0.1  # 100 steps as in the paper: the number is part of the method


def cosine_classifier_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """SCALE times the cosines to a weight vector for each class, fitted to the support from the mean of its images.

    Baseline++ of Chen et al. 2019 (arXiv:1904.04232, section 3.2), initialised as by Qi et al. 2018 (arXiv:1712.07136).
    Every class has the same weight, whatever its shots. Shapes as in `kshot.classifiers`.
    """
    support, query = unit_length(support.detach()), unit_length(query.detach())
    balance = 1 / one_hot(labels, n_way).sum(0).to(support.dtype)
    truth = labels.expand(len(support), -1)
    with torch.enable_grad():
        weights = prototypes(support, labels, n_way).requires_grad_()
        optimizer = torch.optim.SGD([weights], lr=RATE, momentum=0.9)
        for _ in range(STEPS):
            logits = SCALE * cosine_similarity(support, weights)
            # Summed over episodes: each has its own weights, and a mean would shrink each one's step.
            loss = cross_entropy(logits.transpose(1, 2), truth, weight=balance, reduction="none").sum(1).sum() / n_way
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return SCALE * cosine_similarity(query, weights.detach())
