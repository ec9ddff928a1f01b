"""Reptile (Nichol, Achiam, Schulman 2018, arXiv:1803.02999)."""

import torch
from torch import Tensor

from kshot.losses.terms import Terms
from kshot.methods.maml import Maml, Weights
from kshot.methods.method import training_episodes


class Reptile(Maml):
    """Moves the weights towards the adapted weights of each episode: MAML's adaptation without its derivative.

    The loss is half the squared distance between the weights and the adapted weights, which are treated as constant, so
    that its gradient is Reptile's step and any optimiser can take it. The weights adapt to all images of a training
    episode, support and query; the classifier starts from scratch in each episode.
    """

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        episodes = training_episodes(self.embed(pixels), labels, self.n_way, self.k_shot)
        known = torch.cat([episodes.support, episodes.query], 1)
        truth = torch.cat([episodes.support_labels, episodes.query_labels])
        apart = known.new_zeros(())
        for images in known:
            start = self._start(images, truth, self.n_way)
            detached: Weights = {name: value.detach() for name, value in start.items()}
            reached = self._adapted(detached, images, truth, self.inner.steps)
            apart = apart + sum(
                ((start[name] - reached[name].detach()).square().sum() for name in self.adapted),
                start=known.new_zeros(()),
            )
        return Terms(apart / (2 * len(known)), None)
