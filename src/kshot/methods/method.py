"""The base class of all methods, and the training episodes of a batch."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kshot.classifiers.prototype import prototype_scores
from kshot.distances import full_precision
from kshot.losses.terms import Terms
from kshot.nets.embedding import Embedding
from kshot.params.sections.train import Train


class Method(nn.Module):
    """An embedding that predicts episodes; its loss is the cross-entropy of its predictions for training episodes.

    n_way, k_shot: of the training episodes. A batch of P classes x K images makes P / n_way episodes; the first k_shot
    images of each class are support. `centre` (dim,) is the mean embedding of the training images, set after training.
    """

    batch_norm = "eval"
    mean_distance = "euclidean"  # by which `scores` compares, one of `kshot.evaluation.mean_distance`
    has_fixed_embedding = True  # whether the embedding of an image is independent of the episode
    separate_queries = False  # whether no score depends on other queries, so that few at a time may be scored
    training_only: tuple[str, ...] = ()  # parts that prediction does not need: not saved with a model
    centre: Tensor

    def __init__(self, embedding: Embedding, n_way: int, k_shot: int) -> None:
        super().__init__()
        self.embedding, self.n_way, self.k_shot = embedding, n_way, k_shot
        self.register_buffer("centre", torch.zeros(embedding.dim))

    @property
    def dim(self) -> int:
        """The width of what `embed` returns."""
        return self.embedding.dim

    @property
    def input_size(self) -> int:
        """Side in pixels of the square that the backbone sees."""
        return self.embedding.input_size

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, C, S, S), uint8 or floating in [0, 255], to (N, D) float32."""
        points: Tensor = self.embedding(pixels)
        return points

    def prepare(self, train: Train, n_classes: int) -> None:
        """Make the parts that only training needs, for `n_classes` classes; a model that only predicts has none."""

    def forward(self, pixels: Tensor) -> Tensor:
        """As `embed`."""
        return self.embed(pixels)

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        """Logits (E, Q, n_way) of embedded support (E, S, D), labels (S,) int64 in [0, n_way), query (E, Q, D).

        The default is the nearest prototype.
        """
        return prototype_scores(support, labels, query, n_way)

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        """Estimate how many numbers `scores` holds at once for an episode with `shots` support images in all."""
        return 4 * (shots + queries) * self.dim + queries * (shots + n_way)

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Mean cross-entropy of a batch's episodes.

        pixels (P * K, C, S, S); labels (P * K,) int64, indices of training classes, the K of one class together.
        """
        episodes = training_episodes(self.embed(pixels), labels, self.n_way, self.k_shot)
        logits = self.scores(episodes.support, episodes.support_labels, episodes.query, self.n_way)
        return Terms(episode_loss(logits, episodes.query_labels), None)


class TrainingEpisodes(NamedTuple):
    """Episodes of one batch: support (E, S, ...), query (E, Q, ...), and their labels (S,) and (Q,) in [0, n_way)."""

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor


def training_episodes(values: Tensor, labels: Tensor, n_way: int, k_shot: int) -> TrainingEpisodes:
    """Cut a batch into episodes of `n_way` classes each; classes left over are not used.

    values (P * K, ...), the images of one class together, K of each; the first `k_shot` of a class are its support.
    """
    cut = by_class(values, labels, n_way)
    per_class = cut.shape[2]
    support, query = cut[:, :, :k_shot].flatten(1, 2), cut[:, :, k_shot:].flatten(1, 2)
    classes = torch.arange(n_way, device=values.device)
    return TrainingEpisodes(
        support, classes.repeat_interleave(k_shot), query, classes.repeat_interleave(per_class - k_shot)
    )


def by_class(values: Tensor, labels: Tensor, n_way: int) -> Tensor:
    """Reshape a batch (P * K, ...) to (E, n_way, K, ...), E = P // n_way."""
    per_class = int((labels == labels[0]).sum())
    n_episodes = len(labels) // per_class // n_way
    return values[: n_episodes * n_way * per_class].reshape(n_episodes, n_way, per_class, *values.shape[1:])


def episode_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over all queries of all episodes: logits (E, Q, n_way), labels (Q,)."""
    return cross_entropy(full_precision(logits.flatten(0, 1)), labels.repeat(len(logits)))
