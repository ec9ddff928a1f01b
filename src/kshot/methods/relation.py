"""Relation Networks (Sung, Yang, Zhang, Xiang, Torr, Hospedales 2018, arXiv:1711.06025)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot

from kshot.distances import full_precision
from kshot.losses.terms import Terms
from kshot.methods.method import Method, training_episodes
from kshot.nets.embedding import Embedding

WIDTH, HIDDEN = 64, 8  # of the relation module, as in the paper


class Relation(Method):
    """A learned comparison: two more blocks compare the mean feature maps of a class with those of a query.

    The embedding is flat: `channels` square maps (None: the backbone's number of maps). The backbone conv4_maps has
    maps that are large enough to compare. Scores are logits: their sigmoid is the paper's relation score, which is
    regressed to 1 for the right class and to 0 for others.
    """

    separate_queries = True

    def __init__(self, embedding: Embedding, n_way: int, k_shot: int, channels: int | None = None) -> None:
        super().__init__(embedding, n_way, k_shot)
        if channels is None:
            # The output of a network without maps is treated as `dim` maps of one pixel.
            channels = int(getattr(embedding.backbone, "maps", embedding.dim))
        side = round((embedding.dim / channels) ** 0.5)
        if channels * side * side != embedding.dim:
            raise ValueError(f"the embedding has {embedding.dim} numbers; needs {channels} square maps")
        self.maps = (channels, side, side)
        pools = [nn.MaxPool2d(2) if side >> step > 1 else nn.Identity() for step in (0, 1)]
        self.compare = nn.Sequential(_block(2 * channels), pools[0], _block(WIDTH), pools[1], nn.Flatten())
        with torch.no_grad():
            self.compare.eval()
            width = self.compare(torch.zeros(1, 2 * channels, side, side)).shape[1]
        self.decide = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        member = one_hot(labels, n_way).to(support.dtype)
        # The paper sums over shots; the mean makes classes comparable whose shots differ, also from those in training.
        known = (member / member.sum(0)).T @ support
        episodes, queries, dim = query.shape
        pairs = torch.stack(
            [
                known[:, None].expand(episodes, queries, n_way, dim),
                query[:, :, None].expand(episodes, queries, n_way, dim),
            ],
            3,
        )
        channels, height, width = self.maps
        with torch.autocast(pairs.device.type, torch.bfloat16, enabled=self.embedding.in_bf16):
            features = self.compare(pairs.reshape(-1, 2 * channels, height, width))
        features = full_precision(features)
        logits: Tensor = self.decide(features).reshape(episodes, queries, n_way)
        return logits

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        return 3 * queries * n_way * 2 * self.embedding.dim

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Mean squared error of the relation scores (eq. 2 of the paper)."""
        episodes = training_episodes(self.embed(pixels), labels, self.n_way, self.k_shot)
        logits = self.scores(episodes.support, episodes.support_labels, episodes.query, self.n_way)
        truth = one_hot(episodes.query_labels, self.n_way).to(logits.dtype).expand_as(logits)
        return Terms(mse_loss(logits.sigmoid(), truth), None)


def _block(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU())
