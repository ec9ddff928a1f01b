"""SimpleShot (Wang, Chao, Weinberger, van der Maaten 2019, arXiv:1911.04623)."""

from torch import Tensor

from kshot.classifiers.prototype import prototype_scores
from kshot.distances import unit_length


def simple_shot_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int, centre: Tensor) -> Tensor:
    """Nearest prototype after subtracting `centre` (D,), the training images' mean, and L2 normalisation ("CL2N").

    Section 3.1 of the paper. Other shapes as in `kshot.classifiers`.
    """
    return prototype_scores(unit_length(support - centre), labels, unit_length(query - centre), n_way)
