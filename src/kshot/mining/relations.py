"""The positives and negatives of each image in a batch."""

from typing import NamedTuple

from torch import Tensor


class Relations(NamedTuple):
    """Masks positive and negative, each (B, B) bool, row = anchor; no image is its own positive."""

    positive: Tensor
    negative: Tensor


def relations(labels: Tensor) -> Relations:
    """Compare all labels (B,) integer."""
    same = labels[:, None] == labels[None, :]
    return Relations(same.clone().fill_diagonal_(False), ~same)
