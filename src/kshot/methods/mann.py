"""Memory-augmented networks (Santoro, Bartunov, Botvinick, Wierstra, Lillicrap 2016, arXiv:1605.06065)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from kshot.distances import cosine_similarity

SLOTS, WIDTH, HEADS, CONTROLLER, DECAY = 128, 40, 4, 200, 0.99  # the paper's, section 4.1


class Memory(NamedTuple):
    """slots (N, M, W); usage (N, M); read (N, H, M), where each head read last; least (N, H, M), one place a head.

    The heads' least used places differ from each other: what one writes is not written over by the next.
    """

    slots: Tensor
    usage: Tensor
    read: Tensor
    least: Tensor


class Mann(nn.Module):
    """An LSTM that writes what it sees into an external memory, least recently used places first, and reads by content.

    It meets a stream: at each step an image and the label of the one before, and is to name the class of the image,
    whose labels are drawn anew for each stream. `n_labels` is how many labels there are.
    """

    def __init__(self, inputs: int, n_labels: int) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.controller = nn.LSTMCell(inputs + n_labels, CONTROLLER)
        self.keys = nn.Linear(CONTROLLER, HEADS * WIDTH)
        self.values = nn.Linear(CONTROLLER, HEADS * WIDTH)
        self.gates = nn.Linear(CONTROLLER, HEADS)
        self.decide = nn.Linear(CONTROLLER + HEADS * WIDTH, n_labels)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, T, n_labels) of streams: points (N, T, inputs), labels (N, T) int64, each told one step late."""
        told = one_hot(labels, self.n_labels).to(points.dtype)
        told = torch.cat([torch.zeros_like(told[:, :1]), told[:, :-1]], 1)
        streams = len(points)
        state = points.new_zeros(streams, CONTROLLER), points.new_zeros(streams, CONTROLLER)
        memory = empty_memory(streams, points)
        logits = []
        for image, label in zip(points.unbind(1), told.unbind(1), strict=True):
            state = self.controller(torch.cat([image, label], 1), state)
            shape = (streams, HEADS, WIDTH)
            keys, values = self.keys(state[0]).tanh().reshape(shape), self.values(state[0]).tanh().reshape(shape)
            memory = write(memory, values, self.gates(state[0]).sigmoid())
            memory, found = read(memory, keys)
            logits.append(self.decide(torch.cat([state[0], found.flatten(1)], 1)))
        return torch.stack(logits, 1)


def empty_memory(streams: int, like: Tensor) -> Memory:
    """A memory that nothing was written to, of the dtype and device of `like`."""
    usage = like.new_zeros(streams, SLOTS)
    # Small and not zero: a cosine with zeros has no direction to learn from.
    slots = like.new_full((streams, SLOTS, WIDTH), 1e-6)
    return Memory(slots, usage, like.new_zeros(streams, HEADS, SLOTS), _least_used(usage))


def write(memory: Memory, values: Tensor, gates: Tensor) -> Memory:
    """Write each head's value to where it last read or to its least used place, as its gate says (eq. 7 and 8).

    values (N, H, W), gates (N, H) in [0, 1], 1 for where it last read. The least used places are emptied first.
    """
    weight = gates[..., None] * memory.read + (1 - gates[..., None]) * memory.least
    slots = memory.slots * (1 - memory.least.sum(1))[..., None]
    slots = slots + weight.transpose(1, 2) @ values
    return memory._replace(slots=slots, usage=DECAY * memory.usage + weight.sum(1))


def read(memory: Memory, keys: Tensor) -> tuple[Memory, Tensor]:
    """What each head finds by cosine to its key (eq. 2 to 4): keys (N, H, W) to (N, H, W), and the use counted."""
    weight = cosine_similarity(keys, memory.slots).softmax(-1)
    usage = memory.usage + weight.sum(1)
    return memory._replace(usage=usage, read=weight, least=_least_used(usage)), weight @ memory.slots


def stream_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over every step of every stream: logits (N, T, n_labels), labels (N, T)."""
    return cross_entropy(logits.flatten(0, 1), labels.flatten())


def instance_accuracies(logits: Tensor, labels: Tensor, instances: int) -> Tensor:
    """Accuracy on the 1st, 2nd ... image of a class that a stream shows: (instances,); NaN where no stream has one."""
    right = logits.argmax(-1) == labels
    shown = one_hot(labels, logits.shape[-1]).cumsum(1).gather(2, labels[..., None])[..., 0]
    return torch.stack([right[shown == place].double().mean() for place in range(1, instances + 1)])


def _least_used(usage: Tensor) -> Tensor:
    """The HEADS least used places of each memory (eq. 6), one a head: (N, H, M). Ties go to the lower place."""
    places = usage.detach().sort(dim=1, stable=True).indices[:, :HEADS]
    return one_hot(places, usage.shape[1]).to(usage.dtype)
