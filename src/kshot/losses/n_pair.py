"""N-pair loss: one pair of each class; each anchor is compared with the positives of all other classes."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kshot.losses.arguments import check_batch
from kshot.losses.softmax import masked_logsumexp


def n_pair_loss(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Mean over pairs (a, p) of `log(1 + sum over other classes' p' of exp(a·p' - a·p))` (Sohn 2016, eq. 7).

    "Improved deep metric learning with multi-class N-pair loss objective", NeurIPS 2016. Round r pairs the images 2r
    and 2r + 1 of every class in the order of the batch, so that K images a class make K // 2 rounds. Each round is a
    batch of the paper; an image left over is not used. Similarities are inner products, as in the paper.

    embeddings (B, D) floating; labels (B,) integer. Returns a scalar, 0 if no class has two images. Raises
    ValueError for shapes that do not match.

    >>> points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> n_pair_loss(points, torch.tensor([0, 0, 1, 1]))  # log(1 + exp(0 - 1))
    tensor(0.3133)
    """
    check_batch(embeddings, labels)
    order = labels.argsort(stable=True)
    ordered = labels[order]
    place = torch.arange(len(labels), device=labels.device) - torch.searchsorted(ordered, ordered)
    follows = (place[:-1] % 2 == 0) & (ordered[:-1] == ordered[1:])
    first = follows.nonzero().flatten()
    if not len(first):
        return embeddings.sum() * 0
    rounds = place[first] // 2
    with torch.autocast(embeddings.device.type, enabled=False):
        wide = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        anchors, positives = wide[order[first]], wide[order[first + 1]]
        logits = anchors @ positives.T
    others = (rounds[:, None] == rounds[None, :]) & ~torch.eye(len(first), dtype=torch.bool, device=labels.device)
    terms = softplus(masked_logsumexp(logits, others) - logits.diagonal())
    return terms.mean()
