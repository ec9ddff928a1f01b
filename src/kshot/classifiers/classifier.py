"""The type of a classifier."""

from collections.abc import Callable

from torch import Tensor

Classifier = Callable[[Tensor, Tensor, Tensor, int], Tensor]
