"""Smoothed average precision."""

import torch
from torch import Tensor

from kshot.distances import cosine_similarity
from kshot.losses.arguments import check_batch, check_temperature
from kshot.losses.terms import empty_terms


def smooth_ap_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """1 minus the mean smoothed average precision of each image among the others (Brown et al. 2020, eq. 6).

    arXiv:2007.12163. Similarities are cosines; the sigmoid of their difference divided by `temperature` (0.01 in the
    paper) is the degree to which one image ranks above another. This is kshot's own implementation, because version
    2.9.0 of pytorch-metric-learning groups a batch by position and never reads its labels. O(B³) memory: every pair of
    images is ranked in every image's list.

    An image is first in its own list and is one of its own positives, as in the paper's eq. 6, so that an image without
    another of its class still pushes others away.

    embeddings (B, D) floating; labels (B,) integer. Returns a scalar in [0, 1), 0 for one class and for no image.
    Raises ValueError for shapes that do not match or a temperature that is not above zero.

    >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> smooth_ap_loss(points, torch.tensor([0, 0, 1]), temperature=0.01)  # 1 - ((1 + 2/3) / 2 + (1 + 2/3) / 2 + 1) / 3
    tensor(0.1111)
    """
    check_batch(embeddings, labels)
    check_temperature(temperature)
    if not len(embeddings):
        return empty_terms(embeddings).loss
    similarities = cosine_similarity(embeddings, embeddings)
    # above[i, j, k]: degree, in [0, 1], to which image k ranks above image j in the list of anchor i.
    above = ((similarities[:, None, :] - similarities[:, :, None]) / temperature).sigmoid()
    above = above * ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = (labels[:, None] == labels[None, :]).to(above.dtype)
    rank_in_class = 1 + (above * same[:, None, :]).sum(2)
    precision = (rank_in_class / (1 + above.sum(2)) * same).sum(1) / same.sum(1)
    return (1 - precision).mean()
