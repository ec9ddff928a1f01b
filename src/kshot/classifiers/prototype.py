"""Nearest class mean."""

from torch import Tensor

from kshot.distances import squared_euclidean
from kshot.prototypes import prototypes


def prototype_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Minus the squared Euclidean distance to each class's mean (Snell et al. 2017, eq. 2, arXiv:1703.05175).

    Shapes as in `kshot.classifiers`.
    """
    # Far from the origin, float32 would round the mean too coarsely.
    middle = support.detach().mean(-2, keepdim=True)
    return -squared_euclidean(query - middle, prototypes(support - middle, labels, n_way))
