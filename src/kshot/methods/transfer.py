"""Transfer baselines: train a classifier of the training classes, then drop it (Chen et al. 2019, arXiv:1904.04232)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kshot.distances import cosine_similarity
from kshot.losses.terms import Terms
from kshot.methods.method import Method
from kshot.methods.prototypical import COSINE_SCALE
from kshot.nets.embedding import Embedding
from kshot.params.sections.train import Train


class Transfer(Method):
    """The paper's Baseline, with a linear classifier, and Baseline++, with cosines to a weight vector of each class.

    Predicts by the nearest prototype, or by any chosen classifier: "cosine_classifier" and "logistic_regression" are
    fitted to the support; "simple_shot" is the method of Wang et al. 2019.
    """

    training_only = ("classifier", "log_scale")

    def __init__(
        self, embedding: Embedding, n_way: int, k_shot: int, classifier: Literal["linear", "cosine"] = "linear"
    ) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.cosine = classifier == "cosine"
        self.classifier: nn.Linear | None = None
        self.log_scale: nn.Parameter | None = None

    def prepare(self, train: Train, n_classes: int) -> None:
        self.classifier = nn.Linear(self.embedding.dim, n_classes, bias=not self.cosine)
        if self.cosine:
            self.log_scale = nn.Parameter(torch.tensor(COSINE_SCALE).log())

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Cross-entropy of the training classes."""
        assert self.classifier is not None, "prepare it first"
        points = self.embed(pixels)
        if self.log_scale is not None:
            logits = self.log_scale.exp() * cosine_similarity(points, self.classifier.weight)
        else:
            logits = self.classifier(points)
        return Terms(cross_entropy(logits, labels), None)
