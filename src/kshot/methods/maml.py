"""MAML (Finn, Abbeel, Levine 2017, arXiv:1703.03400), its first-order form, and ANIL (Raghu et al. 2020)."""

import math
import threading
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from kshot.distances import full_precision
from kshot.losses.terms import Terms
from kshot.methods.episode_norm import normalise_by_episode, refer_to
from kshot.methods.method import Method, episode_loss, training_episodes
from kshot.nets.embedding import Embedding
from kshot.prototypes import prototypes

Weights = dict[str, Tensor]

# `functional_call` puts an episode's weights into the network while it runs, and `refer_to` sets the norms: two threads
# that use one model at once would run with each other's weights. The lock is a global, so that models can be copied.
_ADAPTING = threading.RLock()


@dataclass(frozen=True)
class InnerLoop:
    """How a model adapts to the support of an episode.

    steps, rate      of gradient descent in training; `test_steps` is the number of steps when it predicts
    first_order      leaves out the derivative of the inner gradients (section 5.2)
    body             False adapts the classifier alone: ANIL, arXiv:1909.09157
    learn_rates      learns one rate for each layer (Li et al. 2017, arXiv:1707.09835, by layer)
    start            initial classifier. "zero": all zeros, because whatever all classes share cancels in the softmax;
                     the first step changes only the classifier, the later steps change the body too.
                     "prototypes": the nearest class mean of the support, through which gradients flow too (Proto-MAML,
                     Triantafillou et al. 2020, arXiv:1903.03096)
    batch_norm       "transductive": statistics of all queries, as in the paper; "support": of the support alone
    """

    steps: int
    test_steps: int
    rate: float
    first_order: bool = False
    body: bool = True
    learn_rates: bool = False
    start: Literal["zero", "prototypes"] = "zero"
    batch_norm: Literal["transductive", "support"] = "transductive"


class Maml(Method):
    """Adapts to each episode by a few steps of gradient descent on its support, from weights learned for this purpose.

    Before it adapts, the classifier is the same for every class (Ye and Chao 2022, arXiv:2106.16245), so that an
    episode may have any number of classes in any order. `batched`: adapt to all tasks at once with `vmap`; None: only
    on a GPU. On a CPU a loop over tasks is faster, because convolutions with different weights for each task become
    grouped convolutions.
    """

    has_fixed_embedding = False

    def __init__(
        self, embedding: Embedding, n_way: int, k_shot: int, inner: InnerLoop, *, batched: bool | None = None
    ) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.inner, self.batched, self.batch_norm = inner, batched, inner.batch_norm
        ingest = embedding.settings.ingest
        self.shape = (ingest.channels, ingest.size, ingest.size)
        self.norms = normalise_by_episode(embedding)
        for module in embedding.modules():
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment] # the second derivative needs what it would overwrite
        self.adapted = [name for name, _ in embedding.named_parameters()] if inner.body else []
        # Parameter names must not contain dots. Rates are stored as logarithms, so that they stay above zero.
        rates = {self._key(name): torch.tensor(inner.rate).log() for name in (*self.adapted, "rows", "bias")}
        self.log_rates = nn.ParameterDict(
            {key: nn.Parameter(value, requires_grad=inner.learn_rates) for key, value in rates.items()}
        )

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        # Estimate for a network with 64 channels at the input's size, including what gradient descent stores.
        return 8 * 64 * int(math.prod(self.shape[1:])) * (shots + queries)

    @property
    def dim(self) -> int:
        return int(math.prod(self.shape))

    def embed(self, pixels: Tensor) -> Tensor:
        """Flatten (N, C, S, S) to (N, C * S * S) pixels: their embedding depends on the episode."""
        return pixels.flatten(1)

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        return self._adapt_and_predict(support, labels, query, n_way, self.inner.test_steps)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        episodes = training_episodes(self.embed(pixels), labels, self.n_way, self.k_shot)
        logits = self._adapt_and_predict(
            episodes.support, episodes.support_labels, episodes.query, self.n_way, self.inner.steps
        )
        return Terms(episode_loss(logits, episodes.query_labels), None)

    def _adapt_and_predict(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, steps: int) -> Tensor:
        def one(support: Tensor, query: Tensor) -> Tensor:
            return self._predict(
                self._adapted(self._start(support, labels, n_way), support, labels, steps), support, query
            )

        batched = support.is_cuda if self.batched is None else self.batched
        with _ADAPTING:
            for norm in self.norms:
                norm.fused = not batched
            if batched:
                found: Tensor = vmap(one, randomness="same")(support, query)
                return found
            return torch.stack([one(s, q) for s, q in zip(support, query, strict=True)])

    def _start(self, support: Tensor, labels: Tensor, n_way: int) -> Weights:
        body: Weights = {name: value for name, value in self.embedding.named_parameters() if name in self.adapted}
        if self.inner.start == "zero":
            nothing = self.centre.new_zeros
            return {**body, "rows": nothing(n_way, self.embedding.dim), "bias": nothing(n_way)}
        means = prototypes(self._points(body, support), labels, n_way)
        # -|q - p|² without the |q|² that all classes share.
        return {**body, "rows": 2 * means, "bias": -means.square().sum(1)}

    def _adapted(self, weights: Weights, support: Tensor, labels: Tensor, steps: int) -> Weights:
        def support_loss(now: Weights) -> Tensor:
            return cross_entropy(full_precision(self._logits(now, support)), labels)

        for step in range(steps):
            # While the classifier is zero, so are the body's gradient and its derivative: step 1 skips the body.
            whole = step or self.inner.start == "prototypes"
            moving = {name: value for name, value in weights.items() if whole or name in ("rows", "bias")}
            slopes = grad(lambda some, all_=weights: support_loss({**all_, **some}))(moving)
            if self.inner.first_order:
                slopes = {name: slope.detach() for name, slope in slopes.items()}
            rates = {name: self.log_rates[self._key(name)].exp() for name in moving}
            weights = {**weights, **{name: value - rates[name] * slopes[name] for name, value in moving.items()}}
        return weights

    def _predict(self, weights: Weights, support: Tensor, query: Tensor) -> Tensor:
        if self.batch_norm == "transductive":
            return self._logits(weights, query)
        with refer_to(self.norms, len(support)):
            return self._logits(weights, torch.cat([support, query]))[len(support) :]

    def _logits(self, weights: Weights, flat: Tensor) -> Tensor:
        body = {name: value for name, value in weights.items() if name not in ("rows", "bias")}
        return self._points(body, flat) @ weights["rows"].T + weights["bias"]

    def _points(self, body: Weights, flat: Tensor) -> Tensor:
        points: Tensor = functional_call(self.embedding, body, (flat.reshape(-1, *self.shape),))
        return points

    @staticmethod
    def _key(name: str) -> str:
        return name.replace(".", "/")
