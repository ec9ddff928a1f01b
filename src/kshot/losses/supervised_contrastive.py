"""Supervised contrastive loss."""

import torch
from torch import Tensor

from kshot.distances import cosine_similarity
from kshot.losses.arguments import check_batch, check_temperature
from kshot.losses.softmax import masked_logsumexp
from kshot.losses.terms import empty_terms
from kshot.mining.relations import relations


def supervised_contrastive_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean over anchors of the mean over their positives of `-log(e(a,p) / sum over all others of e(a,i))`.

    e = exp(cos / temperature); Khosla et al. 2020, arXiv:2004.11362, eq. 2 (the sum outside the logarithm). Anchors
    without a positive are left out of the mean.

    embeddings (B, D) floating; labels (B,) integer. Returns a scalar, 0 if there is no positive pair. Raises
    ValueError for shapes that do not match or a temperature that is not above zero.

    >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> supervised_contrastive_loss(points, torch.tensor([0, 0, 0, 1]), temperature=1.0)  # -log(e / (2 e + 1))
    tensor(0.8620)
    """
    check_batch(embeddings, labels)
    check_temperature(temperature)
    if not len(embeddings):
        return empty_terms(embeddings).loss
    positive, negative = relations(labels)
    logits = cosine_similarity(embeddings, embeddings) / temperature
    everyone = masked_logsumexp(logits, positive | negative)
    number = positive.sum(1)
    of_anchor = torch.where(positive, everyone[:, None] - logits, 0).sum(1) / number.clamp_min(1)
    return of_anchor.sum() / (number > 0).sum().clamp_min(1)
