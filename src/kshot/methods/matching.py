"""Matching Networks (Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, arXiv:1606.04080)."""

import torch
from torch import Tensor, nn

from kshot.classifiers.attention import attention_scores
from kshot.methods.method import Method
from kshot.methods.prototypical import COSINE_SCALE
from kshot.nets.embedding import Embedding


class Matching(Method):
    """Attention over the support by cosine; with `full_context`, embeddings that depend on the whole support.

    Full-context embeddings (appendix A of the paper): a bidirectional LSTM over the support, and for each query an LSTM
    that reads the support `steps` times by attention. The support is read in the order of its labels.

    The paper's softmax is over unscaled cosines and is therefore nearly uniform over many classes: with 60 classes the
    right one's share is at most 11 %. With `learn_temperature` a parameter, initially 10, scales the cosines.
    """

    mean_distance = "cosine"
    separate_queries = True

    def __init__(
        self,
        embedding: Embedding,
        n_way: int,
        k_shot: int,
        full_context: bool = False,
        steps: int = 5,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.full_context, self.steps = full_context, steps
        scale = torch.tensor(COSINE_SCALE if learn_temperature else 1.0).log()
        self.log_scale = nn.Parameter(scale, requires_grad=learn_temperature)
        if full_context:
            self.encoder = nn.LSTM(embedding.dim, embedding.dim, bidirectional=True, batch_first=True)
            self.reader = nn.LSTMCell(2 * embedding.dim, embedding.dim)

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        if self.full_context:
            order = labels.argsort(stable=True)
            support, labels = self._of_support(support[:, order]), labels[order]
            query = self._of_queries(query, support)
        return attention_scores(support, labels, query, n_way, (-self.log_scale).exp())

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        readings = queries * (shots + 10) * self.dim if self.full_context else 0
        return super().footprint(shots, queries, n_way) + readings

    def _of_support(self, support: Tensor) -> Tensor:
        forward, backward = self.encoder(support)[0].chunk(2, -1)
        summed: Tensor = forward + backward + support
        return summed

    def _of_queries(self, query: Tensor, support: Tensor) -> Tensor:
        episodes, queries, dim = query.shape
        flat = query.flatten(0, 1)
        of_query = support.repeat_interleave(queries, 0)  # the support of each query's episode
        hidden, cell = torch.zeros_like(flat), torch.zeros_like(flat)
        read = torch.zeros_like(flat)
        for _ in range(self.steps):
            hidden, cell = self.reader(torch.cat([flat, read], 1), (hidden, cell))
            hidden = hidden + flat
            weight = (of_query @ hidden[:, :, None]).softmax(1)
            read = (weight * of_query).sum(1)
        return hidden.reshape(episodes, queries, dim)
