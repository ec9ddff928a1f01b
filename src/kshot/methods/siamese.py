"""Siamese networks (Koch, Zemel, Salakhutdinov 2015, "Siamese neural networks for one-shot image recognition")."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from kshot.losses.terms import Terms
from kshot.methods.method import Method
from kshot.nets.embedding import Embedding

START_BIAS = 2.0  # about half of the mean weighted distance of untrained networks, so that both predictions occur


class Siamese(Method):
    """A verifier of pairs: the logit that two images are of one class is a learned weighting of |x - y|.

    The twins end in a sigmoid, as in the paper. The prediction for a query is the class with the highest mean odds that
    the query matches a support image: one certain match outweighs several mismatches. With one shot this is the paper's
    rule, which covers only that case.
    """

    separate_queries = True

    def __init__(self, embedding: Embedding, n_way: int, k_shot: int) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.verifier = nn.Linear(embedding.dim, 1)
        # All weights start negative, so that far means different: with random signs most of training corrects them.
        nn.init.constant_(self.verifier.weight, -(embedding.dim**-0.5))
        nn.init.constant_(self.verifier.bias, START_BIAS)

    def embed(self, pixels: Tensor) -> Tensor:
        return super().embed(pixels).sigmoid()

    def same(self, x: Tensor, y: Tensor) -> Tensor:
        """Logit that each row of `x` (..., N, D) and each of `y` (..., M, D) are of one class: (..., N, M)."""
        weight, bias = self.verifier.weight[0], self.verifier.bias
        # Sum of w |x - y| = L1 distance scaled by the positive weights, minus L1 distance scaled by the negative ones.
        # This avoids storing N x M x D differences.
        alike, unlike = weight.relu(), (-weight).relu()
        return torch.cdist(x * alike, y * alike, p=1) - torch.cdist(x * unlike, y * unlike, p=1) + bias

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        logits = self.same(query, support)
        member = torch.nn.functional.one_hot(labels, n_way).to(logits.dtype)
        # Odds relative to each class's best, so that no exponential overflows.
        best = logits.new_full((*logits.shape[:-1], n_way), -torch.inf)
        best = best.scatter_reduce(-1, labels.expand_as(logits), logits, "amax")
        shares = (logits - best[..., labels]).exp() @ (member / member.sum(0))
        return best + shares.log()

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Binary cross-entropy over all pairs of the batch; same and different pairs have equal total weight."""
        points = self.embed(pixels)
        logits = self.same(points, points)
        same = labels[:, None] == labels[None, :]
        different, same = ~same, same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        weight = same / same.sum().clamp_min(1) + different / different.sum().clamp_min(1)
        summed = binary_cross_entropy_with_logits(logits, same.to(logits.dtype), weight=weight, reduction="sum")
        return Terms(summed / 2, None)
