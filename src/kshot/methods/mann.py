"""Memory-augmented networks (Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, arXiv:1605.06065)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from kshot.data.episodes import EpisodeSet
from kshot.losses.terms import Terms
from kshot.methods.memory import CLASSIFIERS, SLOTS, WIDTH, Memory, empty_memory, read, write
from kshot.methods.method import Method, by_class
from kshot.nets.embedding import Embedding
from kshot.nets.points import Points

QUERIES_AT_ONCE = 16  # of each episode in prediction: each query needs its own copy of the memory
INSTANCES = 10  # images of a class in a stream, as in the paper
STREAMS_AT_ONCE = 500
# Added to the variance of each dimension, so that nearly constant ones are not amplified. No other value was tried.
LEAST_VARIANCE = 0.0025
# Initial key strength, before softplus and the paper's 1: a match weighs e^3.1 times as much as a dissimilar slot.
START_STRENGTH = 2.0


class State(NamedTuple):
    """The network's state after some steps of N streams.

    hidden, cell  (N, controller), of the controller
    found         (N, HEADS * WIDTH), read last from the memory
    memory        the external memory
    """

    hidden: Tensor
    cell: Tensor
    found: Tensor
    memory: Memory

    def repeated(self, times: int) -> "State":
        """Repeat each stream's state `times` times, one after another."""
        hidden, cell, found = (part.repeat_interleave(times, 0) for part in self[:3])
        return State(hidden, cell, found, Memory(*(part.repeat_interleave(times, 0) for part in self.memory)))


class MemoryNetwork(nn.Module):
    """An LSTM that writes to an external memory, least recently used slots first, and reads from it by content.

    Its input is a stream: at each step an image and the label of the previous image. It predicts the class of the
    image. Labels are assigned at random in each stream; `n_labels` is how many there are.

    The paper's heads write the same key that they read with, and compare by plain cosines, over which the softmax of
    all slots is nearly uniform. As in neural Turing machines, from which the heads come (Graves, Wayne, Danihelka 2014,
    arXiv:1410.5401), with `write_values` a head writes a separate vector, and with `key_strength` it learns how sharp
    the softmax is.
    """

    def __init__(
        self,
        inputs: int,
        n_labels: int,
        controller: int = 200,
        *,
        write_values: bool = False,
        key_strength: bool = False,
    ) -> None:
        super().__init__()
        self.n_labels = n_labels
        # The previous reading is an input too (section 3 of the paper).
        self.controller = nn.LSTMCell(inputs + n_labels + CLASSIFIERS * WIDTH, controller)
        self.keys = nn.Linear(controller, CLASSIFIERS * WIDTH)
        self.gates = nn.Linear(controller, CLASSIFIERS)
        self.decide = nn.Linear(controller + CLASSIFIERS * WIDTH, n_labels)
        self.values = nn.Linear(controller, CLASSIFIERS * WIDTH) if write_values else None
        self.strengths = nn.Linear(controller, CLASSIFIERS) if key_strength else None
        if self.strengths is not None:
            nn.init.constant_(self.strengths.bias, START_STRENGTH)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, T, n_labels) of streams: points (N, T, inputs), labels (N, T) int64, each shown one step late."""
        return self.run(points, labels)[1]

    def run(self, points: Tensor, labels: Tensor) -> tuple[State, Tensor]:
        """The state after the streams, and the logits."""
        previous_label = one_hot(labels, self.n_labels).to(points.dtype)
        previous_label = torch.cat([torch.zeros_like(previous_label[:, :1]), previous_label[:, :-1]], 1)
        state, logits = self.start(points), []
        for image, label in zip(points.unbind(1), previous_label.unbind(1), strict=True):
            state, found = self.step(state, image, label)
            logits.append(found)
        return state, torch.stack(logits, 1)

    def start(self, points: Tensor) -> State:
        """The state before the first step of as many streams as `points` has rows."""
        nothing = points.new_zeros(len(points), self.controller.hidden_size)
        return State(
            nothing, nothing, points.new_zeros(len(points), CLASSIFIERS * WIDTH), empty_memory(len(points), points)
        )

    def step(self, state: State, image: Tensor, previous_label: Tensor) -> tuple[State, Tensor]:
        """One step: image (N, inputs); previous_label (N, n_labels), zeros for none; logits (N, n_labels)."""
        hidden, cell = self.controller(torch.cat([image, previous_label, state.found], 1), (state.hidden, state.cell))
        keys = self.keys(hidden).tanh().reshape(len(image), CLASSIFIERS, WIDTH)
        # In the paper the key is both written and searched for (eq. 2 and 7).
        values = keys if self.values is None else self.values(hidden).tanh().reshape(keys.shape)
        strengths = None if self.strengths is None else 1 + softplus(self.strengths(hidden))
        memory = write(state.memory, values, self.gates(hidden).sigmoid())
        memory, reading = read(memory, keys, strengths)
        found = reading.flatten(1)
        return State(hidden, cell, found, memory), self.decide(torch.cat([hidden, found], 1))


class Mann(Method):
    """Memory-augmented network, trained on streams of n_way classes whose images come in random order.

    An episode is a stream too: the support, one image of each class in turn, then one query. Every query starts from
    the memory after the support, so that queries do not influence each other. The network has n_way labels: no episode
    may have more classes. With `standardize` each dimension of a point is scaled to mean 0 and variance 1, which suits
    the controller's gates: by the statistics of the batch in training, by the running statistics afterwards.
    `write_values` and `key_strength` are passed to `MemoryNetwork`.
    """

    def __init__(
        self,
        embedding: Embedding,
        n_way: int,
        k_shot: int,
        controller: int = 200,
        *,
        standardize: bool = False,
        write_values: bool = False,
        key_strength: bool = False,
    ) -> None:
        super().__init__(embedding, n_way, k_shot)
        self.standard = nn.BatchNorm1d(embedding.dim, eps=LEAST_VARIANCE, affine=False) if standardize else None
        self.network = MemoryNetwork(
            embedding.dim, n_way, controller, write_values=write_values, key_strength=key_strength
        )

    def embed(self, pixels: Tensor) -> Tensor:
        points = super().embed(pixels)
        return points if self.standard is None else self.standard(points)

    def scores(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
        if n_way > self.n_way:
            raise ValueError(f"the episode has {n_way} classes; it was trained with {self.n_way} labels")
        order = _in_turn(labels)
        support, labels = support[:, order], labels[order]
        state, _ = self.network.run(support, labels.expand(len(support), -1))
        parts = [self._predict(state, labels[-1], part) for part in query.split(QUERIES_AT_ONCE, 1)]  # type: ignore[no-untyped-call]
        return torch.cat(parts, 1)[..., :n_way]

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Mean cross-entropy over every step of the P / n_way streams of a batch."""
        points, named = shuffled(by_class(self.embed(pixels), labels, self.n_way), generator)
        return Terms(stream_loss(self.network(points, named), named), None)

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        return super().footprint(shots, queries, n_way) + 4 * QUERIES_AT_ONCE * SLOTS * (WIDTH + 2 * CLASSIFIERS)

    def _predict(self, state: State, last: Tensor, query: Tensor) -> Tensor:
        episodes, queries, dim = query.shape
        previous_label = one_hot(last, self.n_way).to(query.dtype).expand(episodes * queries, -1)
        _, logits = self.network.step(state.repeated(queries), query.reshape(-1, dim), previous_label)
        return logits.reshape(episodes, queries, -1)


def shuffled(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turn classes (E, n_way, K, D) into streams (E, n_way * K, D) in random order.

    Also returns their labels (E, n_way * K), assigned to the classes of each stream at random.
    """
    episodes, n_way, images, dim = classes.shape
    names = torch.rand(episodes, n_way, generator=generator).argsort(1).repeat_interleave(images, 1)
    order = torch.rand(episodes, n_way * images, generator=generator).argsort(1)
    places = order.to(classes.device)
    points = classes.flatten(1, 2).gather(1, places[..., None].expand(-1, -1, dim))
    return points, names.gather(1, order).to(classes.device)


def stream_accuracies(method: Mann, points: Points, episodes: EpisodeSet) -> list[float]:
    """Accuracy on the 1st, 2nd ... INSTANCES-th image that a stream shows of a class (figure 2 and table 1).

    Each episode is a stream of the first INSTANCES images of its classes, or of all if there are fewer. Order and
    labels are drawn from a fixed seed.
    """
    images = np.concatenate([episodes.support, episodes.query], 2)[:, :, :INSTANCES]
    generator = torch.Generator().manual_seed(0)
    logits, named = [], []
    for part in np.array_split(images, -(-len(images) // STREAMS_AT_ONCE)):
        shown, labels = shuffled(points.values[points.rows(part)], generator)
        with torch.no_grad():
            logits.append(method.network(shown.to(method.centre.device), labels.to(method.centre.device)).cpu())
        named.append(labels)
    found: list[float] = instance_accuracies(torch.cat(logits), torch.cat(named), images.shape[2]).tolist()
    return found


def stream_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over every step of every stream: logits (N, T, n_labels), labels (N, T)."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten())


def instance_accuracies(logits: Tensor, labels: Tensor, instances: int) -> Tensor:
    """Accuracy on the 1st, 2nd ... image of a class in a stream: (instances,); NaN if no stream has one."""
    right = logits.argmax(-1) == labels
    shown = one_hot(labels, logits.shape[-1]).cumsum(1).gather(2, labels[..., None])[..., 0]
    return torch.stack([right[shown == place].double().mean() for place in range(1, instances + 1)])


def _in_turn(labels: Tensor) -> Tensor:
    """An order in which the first image of every class comes before the second image of any class."""
    shown = one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    return (shown * (labels.max() + 1) + labels).argsort()
