"""Losses that shape the embedding space: they take tensors, return a scalar and normalise nothing implicitly."""

from kshot.losses.contrastive import contrastive_loss
from kshot.losses.lifted_structure import generalized_lifted_structure_loss, lifted_structure_loss
from kshot.losses.n_pair import n_pair_loss
from kshot.losses.nt_xent import nt_xent_loss
from kshot.losses.prototypical import prototypical_loss
from kshot.losses.smooth_ap import smooth_ap_loss
from kshot.losses.supervised_contrastive import supervised_contrastive_loss
from kshot.losses.triplet import given_triplets_loss, triplet_loss

__all__ = [
    "contrastive_loss",
    "generalized_lifted_structure_loss",
    "given_triplets_loss",
    "lifted_structure_loss",
    "n_pair_loss",
    "nt_xent_loss",
    "prototypical_loss",
    "smooth_ap_loss",
    "supervised_contrastive_loss",
    "triplet_loss",
]
