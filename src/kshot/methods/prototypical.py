"""Prototypical Networks (Snell, Swersky, Zemel 2017, arXiv:1703.05175)."""

import torch
from torch import Tensor, nn

from kshot.classifiers.prototype import prototype_scores
from kshot.distances import cosine_similarity
from kshot.methods.method import Method
from kshot.nets.embedding import Embedding
from kshot.prototypes import prototypes

COSINE_SCALE = 10.0  # initial value of a learned scale of cosines: Gidaris and Komodakis 2018, arXiv:1804.09458


class Prototypical(Method):
    """Nearest class mean; a softmax over minus squared distances or over cosines, as `distance` says.

    With `learn_temperature` the softmax's scale is a parameter. It starts at 1 for distances, as in the paper, and at
    10 for cosines, whose range is too small unscaled.
    """

    def __init__(
        self,
        embedding: Embedding,
        n_way: int,
        k_shot: int,
        distance: str = "squared_euclidean",
        learn_temperature: bool = False,
    ) -> None:
        super().__init__(embedding, n_way, k_shot)
        if distance not in ("squared_euclidean", "cosine"):
            raise ValueError(f"distance is {distance!r}; prototypical takes squared_euclidean or cosine")
        self.distance = distance
        self.mean_distance = "cosine" if distance == "cosine" else "euclidean"
        scale = torch.tensor(COSINE_SCALE if distance == "cosine" else 1.0).log()
        self.log_scale = nn.Parameter(scale, requires_grad=learn_temperature)

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        if self.distance == "cosine":
            return self.log_scale.exp() * cosine_similarity(query, prototypes(support, labels, n_way))
        return self.log_scale.exp() * prototype_scores(support, labels, query, n_way)
