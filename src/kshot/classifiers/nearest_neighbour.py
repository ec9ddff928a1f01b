"""Nearest neighbour."""

import torch
from torch import Tensor

from kshot.distances import squared_euclidean


def nearest_neighbour_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Minus the squared Euclidean distance to each class's nearest support image. Shapes as in `kshot.classifiers`.

    >>> support, query = torch.tensor([[[0.0], [2.0], [5.0]]]), torch.tensor([[[3.0]]])
    >>> nearest_neighbour_scores(support, torch.tensor([0, 0, 1]), query, 2)
    tensor([[[-1., -4.]]])
    """
    squared = squared_euclidean(query, support)
    nearest = squared.new_full((*squared.shape[:2], n_way), torch.inf)
    return -nearest.scatter_reduce(2, labels.expand_as(squared), squared, "amin")
