"""What every head is, as a type."""

from collections.abc import Callable

from torch import Tensor

Head = Callable[[Tensor, Tensor, Tensor, int], Tensor]
