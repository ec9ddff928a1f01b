"""Deep metric learning: trains the embedding with a loss of `kshot.losses` on pairs, triplets or the whole batch."""

import torch
from torch import Tensor

from kshot.losses.objective import LossSettings, Objective
from kshot.losses.terms import Terms
from kshot.methods.method import Method
from kshot.nets.embedding import Embedding
from kshot.params.sections.train import Train


class Metric(Method):
    """Trained with an objective on the whole batch; predicts by the nearest prototype."""

    training_only = ("objective",)

    def __init__(self, embedding: Embedding, n_way: int, k_shot: int) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.objective: Objective | None = None

    def prepare(self, train: Train, n_classes: int) -> None:
        settings = LossSettings(train.loss, images=train.batch.images, k_shot=self.k_shot)
        self.objective = Objective(settings, n_classes, self.embedding.dim, train.seed)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """The objective's loss and its active share of pairs or triplets; NaN if a point is not finite."""
        assert self.objective is not None, "prepare it first"
        points = self.embed(pixels)
        terms: Terms = self.objective(points, labels, generator)
        # Mining would skip points that are not finite, as if they were far from everything.
        fine = points.detach().isfinite().all()
        return terms._replace(loss=torch.where(fine, terms.loss, torch.nan))
