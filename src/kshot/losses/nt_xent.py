"""NT-Xent, also called InfoNCE: each positive pair against the anchor's negatives."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kshot.distances import cosine_similarity
from kshot.losses.arguments import check_batch, check_temperature
from kshot.losses.softmax import masked_logsumexp
from kshot.losses.terms import empty_terms
from kshot.mining.relations import relations


def nt_xent_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean over positive pairs (a, p) of `-log(e(a,p) / (e(a,p) + sum over negatives of e(a,n)))`, e = exp(cos / t).

    Chen et al. 2020, arXiv:2002.05709, eq. 1, where a class is the views of one image; van den Oord et al. 2018,
    arXiv:1807.03748. With more than two images a class, the anchor's other positives are in no denominator; in
    `supervised_contrastive_loss` they are. One log-sum-exp a row serves all of the anchor's positives: O(B²) memory.

    embeddings (B, D) floating; labels (B,) integer. Returns a scalar, 0 if there is no positive pair. Raises
    ValueError for shapes that do not match or a temperature that is not above zero.

    >>> points, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    >>> nt_xent_loss(points, labels, temperature=1.0)  # -log(e / (e + 1))
    tensor(0.3133)
    """
    check_batch(embeddings, labels)
    check_temperature(temperature)
    if not len(embeddings):
        return empty_terms(embeddings).loss
    positive, negative = relations(labels)
    logits = cosine_similarity(embeddings, embeddings) / temperature
    against = masked_logsumexp(logits, negative)
    terms = torch.where(positive, softplus(against[:, None] - logits), 0)
    return terms.sum() / positive.sum().clamp_min(1)
