"""Memory-augmented networks (Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, arXiv:1605.06065)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from kshot.data.episodes import EpisodeSet
from kshot.losses.terms import Terms
from kshot.methods.memory import HEADS, SLOTS, WIDTH, Memory, empty_memory, read, write
from kshot.methods.method import Method, by_class
from kshot.nets.embedding import Embedding
from kshot.nets.points import Points

QUERIES_AT_ONCE = 16  # of each episode, while it is answered: each has a memory of its own
INSTANCES = 10  # of a class in a stream: the paper's
STREAMS_AT_ONCE = 500
LEAST_VARIANCE = 0.0025  # added to that of each number: one that hardly ever moves is not to shout; no other was tried
START_STRENGTH = 2.0  # of keys, before softplus and the 1 of the paper: a match weighs e^3.1 as much as what is unlike


class State(NamedTuple):
    """What the network holds after some steps of N streams.

    hidden, cell (N, controller) of the controller; found (N, HEADS * WIDTH), what was read last; the memory.
    """

    hidden: Tensor
    cell: Tensor
    found: Tensor
    memory: Memory

    def repeated(self, times: int) -> "State":
        """Each stream's state `times` times, one after another."""
        hidden, cell, found = (part.repeat_interleave(times, 0) for part in self[:3])
        return State(hidden, cell, found, Memory(*(part.repeat_interleave(times, 0) for part in self.memory)))


class MemoryNetwork(nn.Module):
    """An LSTM that writes what it sees into an external memory, least recently used places first, and reads by content.

    It meets a stream: at each step an image and the label of the one before, and is to name the class of the image,
    whose labels are drawn anew for each stream. `n_labels` is how many labels there are.

    The paper's heads write the key that they look for, and look by bare cosines, of which a softmax over all places
    hardly prefers any. As in the machine that they come from (Graves, Wayne, Danihelka 2014, arXiv:1410.5401), with
    `write_values` a head writes a vector of its own, and with `key_strength` says how sharply it looks.
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
        # What was read before is an input too (section 3 of the paper).
        self.controller = nn.LSTMCell(inputs + n_labels + HEADS * WIDTH, controller)
        self.keys = nn.Linear(controller, HEADS * WIDTH)
        self.gates = nn.Linear(controller, HEADS)
        self.decide = nn.Linear(controller + HEADS * WIDTH, n_labels)
        self.values = nn.Linear(controller, HEADS * WIDTH) if write_values else None
        self.strengths = nn.Linear(controller, HEADS) if key_strength else None
        if self.strengths is not None:
            nn.init.constant_(self.strengths.bias, START_STRENGTH)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, T, n_labels) of streams: points (N, T, inputs), labels (N, T) int64, each told one step late."""
        return self.run(points, labels)[1]

    def run(self, points: Tensor, labels: Tensor) -> tuple[State, Tensor]:
        """The state after the streams, and the logits."""
        told = one_hot(labels, self.n_labels).to(points.dtype)
        told = torch.cat([torch.zeros_like(told[:, :1]), told[:, :-1]], 1)
        state, logits = self.start(points), []
        for image, label in zip(points.unbind(1), told.unbind(1), strict=True):
            state, found = self.step(state, image, label)
            logits.append(found)
        return state, torch.stack(logits, 1)

    def start(self, points: Tensor) -> State:
        """The state before the first step of as many streams as `points` has rows."""
        nothing = points.new_zeros(len(points), self.controller.hidden_size)
        return State(nothing, nothing, points.new_zeros(len(points), HEADS * WIDTH), empty_memory(len(points), points))

    def step(self, state: State, image: Tensor, told: Tensor) -> tuple[State, Tensor]:
        """One step: image (N, inputs), the label before it told (N, n_labels), zeros for none; logits (N, n_labels)."""
        hidden, cell = self.controller(torch.cat([image, told, state.found], 1), (state.hidden, state.cell))
        keys = self.keys(hidden).tanh().reshape(len(image), HEADS, WIDTH)
        # In the paper the key is what is written, and what is looked for (eq. 2 and 7).
        values = keys if self.values is None else self.values(hidden).tanh().reshape(keys.shape)
        strengths = None if self.strengths is None else 1 + softplus(self.strengths(hidden))
        memory = write(state.memory, values, self.gates(hidden).sigmoid())
        memory, reading = read(memory, keys, strengths)
        found = reading.flatten(1)
        return State(hidden, cell, found, memory), self.decide(torch.cat([hidden, found], 1))


class Mann(Method):
    """Learns to name what it has seen once: trained on streams of n_way classes, their images in any order.

    An episode is a stream too: the support, one image of each class in turn, then a query, which is asked of the memory
    as the support left it, so that queries do not know each other. It knows n_way labels: no episode may have more
    classes. With `standardize` each number of a point has mean 0 and variance 1, which the controller's gates are made
    for: by the batch while it trains, by the training's running statistics afterwards. `write_values` and
    `key_strength`: of `MemoryNetwork`.
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
        parts = [self._answer(state, labels[-1], part) for part in query.split(QUERIES_AT_ONCE, 1)]  # type: ignore[no-untyped-call]
        return torch.cat(parts, 1)[..., :n_way]

    def loss(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """Mean cross-entropy over every step of the streams that a batch makes, P / n_way of them."""
        points, named = shuffled(by_class(self.embed(pixels), labels, self.n_way), generator)
        return Terms(stream_loss(self.network(points, named), named), None)

    def footprint(self, shots: int, queries: int, n_way: int) -> int:
        return super().footprint(shots, queries, n_way) + 4 * QUERIES_AT_ONCE * SLOTS * (WIDTH + 2 * HEADS)

    def _answer(self, state: State, last: Tensor, query: Tensor) -> Tensor:
        episodes, queries, dim = query.shape
        told = one_hot(last, self.n_way).to(query.dtype).expand(episodes * queries, -1)
        _, logits = self.network.step(state.repeated(queries), query.reshape(-1, dim), told)
        return logits.reshape(episodes, queries, -1)


def shuffled(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Classes (E, n_way, K, D) as streams (E, n_way * K, D) in random order, and the labels (E, n_way * K) that each
    stream's classes bear, drawn at random too."""
    episodes, n_way, images, dim = classes.shape
    names = torch.rand(episodes, n_way, generator=generator).argsort(1).repeat_interleave(images, 1)
    order = torch.rand(episodes, n_way * images, generator=generator).argsort(1)
    places = order.to(classes.device)
    points = classes.flatten(1, 2).gather(1, places[..., None].expand(-1, -1, dim))
    return points, names.gather(1, order).to(classes.device)


def stream_accuracies(method: Mann, points: Points, episodes: EpisodeSet) -> list[float]:
    """Accuracy on the 1st, 2nd ... INSTANCES-th image that a stream shows of a class (figure 2 and table 1).

    Each episode is a stream of the first INSTANCES images of its classes, or of all where it has fewer, in an order
    and with labels that are the same whenever this is asked.
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
    """Accuracy on the 1st, 2nd ... image of a class that a stream shows: (instances,); NaN where no stream has one."""
    right = logits.argmax(-1) == labels
    shown = one_hot(labels, logits.shape[-1]).cumsum(1).gather(2, labels[..., None])[..., 0]
    return torch.stack([right[shown == place].double().mean() for place in range(1, instances + 1)])


def _in_turn(labels: Tensor) -> Tensor:
    """An order in which every class shows its first image before any shows its second."""
    shown = one_hot(labels).cumsum(0).gather(1, labels[:, None])[:, 0]
    return (shown * (labels.max() + 1) + labels).argsort()
