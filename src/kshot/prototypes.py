"""Classes as points: the mean of what is known of each."""

from torch import Tensor


def prototypes(support: Tensor, labels: Tensor, n_way: int) -> Tensor:
    """Mean embedding of each class (Snell et al. 2017, eq. 1, arXiv:1703.05175).

    support (N, D); labels (N,) int64 in [0, n_way), every class present. Returns (n_way, D).
    """
    sums = support.new_zeros(n_way, support.shape[1]).index_add(0, labels, support)
    return sums / labels.bincount(minlength=n_way).to(support.dtype)[:, None]
