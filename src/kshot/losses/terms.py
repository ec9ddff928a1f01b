"""What a loss over mined pairs or triplets comes to."""

from typing import NamedTuple

from torch import Tensor


class Terms(NamedTuple):
    """The loss, and whether there is still something to learn from.

    loss    scalar
    active  scalar in [0, 1]: the share of the pairs or triplets looked at that push; near 0, mining has run dry.
            None for losses in which every pair always pushes (the softmax family)
    """

    loss: Tensor
    active: Tensor | None
