"""The external memory of Santoro et al. 2016 (arXiv:1605.06065): least recently used writes, reads by content."""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import one_hot

from kshot.distances import cosine_similarity

SLOTS, WIDTH, CLASSIFIERS, DECAY = 128, 40, 4, 0.99  # the paper's, section 4.1


class Memory(NamedTuple):
    """State of the memory.

    slots (N, M, W)
    usage (N, M)
    read (N, H, M)   where each head read last
    least (N, H, M)  the least used slot of each head. They differ, so that no head overwrites what another wrote
    """

    slots: Tensor
    usage: Tensor
    read: Tensor
    least: Tensor


def empty_memory(streams: int, like: Tensor) -> Memory:
    """An empty memory with the dtype and device of `like`."""
    usage = like.new_zeros(streams, SLOTS)
    # Small and not zero: the cosine with a zero vector has no gradient.
    slots = like.new_full((streams, SLOTS, WIDTH), 1e-6)
    return Memory(slots, usage, like.new_zeros(streams, CLASSIFIERS, SLOTS), _least_used(usage))


def write(memory: Memory, values: Tensor, gates: Tensor) -> Memory:
    """Write each head's value to the slot it last read or to its least used slot, as its gate says (eq. 7 and 8).

    values (N, H, W); gates (N, H) in [0, 1], 1 for the slot last read. The least used slots are emptied first.
    """
    weight = gates[..., None] * memory.read + (1 - gates[..., None]) * memory.least
    slots = memory.slots * (1 - memory.least.sum(1))[..., None]
    slots = slots + weight.transpose(1, 2) @ values
    return memory._replace(slots=slots, usage=DECAY * memory.usage + weight.sum(1))


def read(memory: Memory, keys: Tensor, strengths: Tensor | None = None) -> tuple[Memory, Tensor]:
    """Read by cosine to each head's key (eq. 2 to 4): keys (N, H, W) to readings (N, H, W), and the updated memory.

    strengths (N, H), None for 1: factors of the cosines before the softmax (Graves et al. 2014, eq. 5).
    """
    alike = cosine_similarity(keys, memory.slots)
    weight = (alike if strengths is None else alike * strengths[..., None]).softmax(-1)
    usage = memory.usage + weight.sum(1)
    return memory._replace(usage=usage, read=weight, least=_least_used(usage)), weight @ memory.slots


def _least_used(usage: Tensor) -> Tensor:
    """The HEADS least used slots of each memory (eq. 6), one a head: (N, H, M). Ties go to the lower slot."""
    places = usage.detach().sort(dim=1, stable=True).indices[:, :CLASSIFIERS]
    return one_hot(places, usage.shape[1]).to(usage.dtype)
