"""Lifted structure loss in both forms in use: every positive pair against all negatives of its ends."""

import torch
from torch import Tensor

from kshot.distances import DISTANCES
from kshot.losses.arguments import check_batch, check_distance, check_margin
from kshot.losses.softmax import masked_logsumexp
from kshot.losses.terms import Terms, empty_terms
from kshot.mining.relations import relations


def lifted_structure_loss(embeddings: Tensor, labels: Tensor, margin: float, distance: str = "euclidean") -> Tensor:
    """Mean over positive pairs i < j of `max(0, J)² / 2` (Song et al. 2016, arXiv:1511.06452, eq. 4).

    J = log(sum over i's negatives of exp(margin - d(i,n)) + sum over j's of exp(margin - d(j,n))) + d(i,j).

    embeddings (B, D) floating; labels (B,) integer; d is Euclidean in the paper. One log-sum-exp a row: O(B²) memory.
    Returns a scalar, 0 if there is no positive pair or no negative. Raises ValueError for shapes that do not match, a
    negative margin and an unknown distance.

    >>> points, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    >>> lifted_structure_loss(points, labels, margin=1.0)  # (log(exp(1 - 3) + exp(1 - 2)) + 1)² / 2
    tensor(0.0491)
    """
    return lifted_structure_terms(embeddings, labels, margin, distance).loss


def generalized_lifted_structure_loss(
    embeddings: Tensor, labels: Tensor, margin: float, distance: str = "euclidean"
) -> Tensor:
    """Mean over anchors of `max(0, log sum_p exp(d(a,p)) + log sum_n exp(margin - d(a,n)))`.

    Hermans et al. 2017, arXiv:1703.07737, eq. 7: batch-hard with a soft maximum and minimum. Anchors that have no
    positive or no negative are left out of the mean. Arguments, result and errors as `lifted_structure_loss`.

    >>> points, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    >>> generalized_lifted_structure_loss(points, labels, margin=2.0)  # (max(0, 1 + 2 - 3) + max(0, 1 + 2 - 2)) / 2
    tensor(0.5000)
    """
    return generalized_lifted_structure_terms(embeddings, labels, margin, distance).loss


def lifted_structure_terms(embeddings: Tensor, labels: Tensor, margin: float, distance: str = "euclidean") -> Terms:
    """The loss and the share of positive pairs whose loss is above zero; arguments as `lifted_structure_loss`."""
    _check(embeddings, labels, margin, distance)
    if not len(embeddings):
        return empty_terms(embeddings)
    distances, (positive, negative) = DISTANCES[distance](embeddings, embeddings), relations(labels)
    against = masked_logsumexp(margin - distances, negative)
    pairs = positive.triu()
    hinge = torch.where(pairs, torch.logaddexp(against[:, None], against[None, :]) + distances, 0).clamp_min(0)
    number = pairs.sum().clamp_min(1)
    return Terms(hinge.square().sum() / (2 * number), (hinge > 0).sum() / number)


def generalized_lifted_structure_terms(
    embeddings: Tensor, labels: Tensor, margin: float, distance: str = "euclidean"
) -> Terms:
    """The loss and the share of anchors whose loss is above zero; arguments as `lifted_structure_loss`."""
    _check(embeddings, labels, margin, distance)
    if not len(embeddings):
        return empty_terms(embeddings)
    distances, (positive, negative) = DISTANCES[distance](embeddings, embeddings), relations(labels)
    mined = positive.any(1) & negative.any(1)
    gap = masked_logsumexp(distances, positive) + masked_logsumexp(margin - distances, negative)
    hinge = torch.where(mined, gap, 0).clamp_min(0)
    number = mined.sum().clamp_min(1)
    return Terms(hinge.sum() / number, (hinge > 0).sum() / number)


def _check(embeddings: Tensor, labels: Tensor, margin: float, distance: str) -> None:
    check_batch(embeddings, labels)
    check_margin(margin)
    check_distance(distance)
