"""Checks of the arguments that losses share."""

import math

from torch import Tensor

from kshot.distances import DISTANCES


def check_batch(embeddings: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless embeddings is (B, D) floating and labels (B,) integer."""
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ValueError(
            f"embeddings are {tuple(embeddings.shape)} {embeddings.dtype}; need floating point of shape (B, D)"
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(f"labels are {tuple(labels.shape)}; need ({len(embeddings)},), one an embedding")
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels are {labels.dtype}; need integers")


def check_margin(margin: float) -> None:
    """Raise ValueError for a margin that is negative or not finite."""
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin is {margin}; needs a finite number, 0 or more")


def check_temperature(temperature: float) -> None:
    """Raise ValueError for a temperature that is not finite and above zero."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; needs a finite number above 0, such as 0.1")


def check_distance(distance: str) -> None:
    """Raise ValueError for a distance that is not one of DISTANCES."""
    if distance not in DISTANCES:
        raise ValueError(f"distance is {distance!r}; needs one of {', '.join(DISTANCES)}")
