"""Who is whose positive and negative in a batch."""

from typing import NamedTuple

from torch import Tensor


class Relations(NamedTuple):
    """positive and negative, each (B, B) bool, row = anchor; nobody is its own positive."""

    positive: Tensor
    negative: Tensor


def relations(labels: Tensor) -> Relations:
    """labels (B,) integer."""
    same = labels[:, None] == labels[None, :]
    return Relations(same.clone().fill_diagonal_(False), ~same)
