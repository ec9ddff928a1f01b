"""Losses that shape the embedding space: tensors in, scalar out, nothing normalised behind the caller's back."""

from kshot.losses.contrastive import contrastive_loss
from kshot.losses.prototypical import prototypical_loss
from kshot.losses.triplet import triplet_loss

__all__ = ["contrastive_loss", "prototypical_loss", "triplet_loss"]
