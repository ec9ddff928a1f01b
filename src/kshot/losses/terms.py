"""The result of a loss over mined pairs or triplets."""

from typing import NamedTuple

from torch import Tensor

from kshot.distances import full_precision


class Terms(NamedTuple):
    """The loss, and the share of pairs or triplets that still contribute to it.

    loss    scalar
    active  scalar in [0, 1]: the share of the mined pairs or triplets whose loss is above zero; near 0, mining finds
            nothing left to learn from. None for losses in which every pair always contributes (the softmax family)
    """

    loss: Tensor
    active: Tensor | None


def empty_terms(embeddings: Tensor) -> Terms:
    """The terms of a batch without an image, embeddings (0, D): 0, with a gradient of zero."""
    zero = full_precision(embeddings).sum() * 0
    return Terms(zero, zero.detach())
