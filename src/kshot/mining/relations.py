"""Who is whose positive and negative in a batch."""

from typing import NamedTuple

import torch
from torch import Tensor


class Relations(NamedTuple):
    """positive and negative, each (B, B) bool, row = anchor; nobody is its own positive."""

    positive: Tensor
    negative: Tensor


def relations(labels: Tensor) -> Relations:
    """labels (B,) integer."""
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return Relations(same & ~itself, ~same)
