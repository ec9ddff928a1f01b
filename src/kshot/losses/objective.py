"""The training objective: the loss that `train.loss.name` names, with its mining and all of its settings."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kshot import plugins
from kshot.data.batches import split_support
from kshot.losses.contrastive import contrastive_terms
from kshot.losses.lifted_structure import generalized_lifted_structure_terms, lifted_structure_terms
from kshot.losses.n_pair import n_pair_loss
from kshot.losses.nt_xent import nt_xent_loss
from kshot.losses.plugin_loss import PluginLoss
from kshot.losses.pml_loss import PmlLoss
from kshot.losses.prototypical import prototypical_loss
from kshot.losses.smooth_ap import smooth_ap_loss
from kshot.losses.supervised_contrastive import supervised_contrastive_loss
from kshot.losses.terms import Terms
from kshot.losses.triplet import triplet_terms
from kshot.params.losses import LOSSES
from kshot.params.pml_losses import PML_LOSSES
from kshot.params.sections.train_sections import LossChoice


class LossSettings(NamedTuple):
    """A loss with all of its settings.

    A batch has `images` images of each class, of which the first `k_shot` are support.
    """

    loss: LossChoice
    images: int
    k_shot: int


class Objective(nn.Module):
    """The loss of a batch as a module; its parameters are those that the loss learns, such as proxies (often none)."""

    def __init__(self, settings: LossSettings, n_classes: int, dim: int, seed: int) -> None:
        super().__init__()
        self.settings = settings
        self.pml: PmlLoss | None = None
        self.others: PluginLoss | None = None
        loss, made_for = settings.loss, {"n_classes": n_classes, "dim": dim, "seed": seed}
        if plugin := plugins.find("losses", loss.name, LOSSES):
            self.others = PluginLoss(plugin, loss.arguments, **made_for)
        elif loss.name in PML_LOSSES:
            self.pml = PmlLoss(loss.name, loss.arguments, **made_for)

    def forward(self, points: Tensor, labels: Tensor, generator: torch.Generator) -> Terms:
        """points (B, D) floating; labels (B,) int64 in [0, n_classes), the images of one class together."""
        if self.others is not None:
            found: Terms = self.others(points, labels)
            return found
        if self.pml is not None:
            return Terms(self.pml(points, labels), None)
        return _own_terms(points, labels, self.settings, generator)


OURS: dict[str, Callable[..., Terms | Tensor]] = {
    "contrastive": contrastive_terms,
    "triplet": triplet_terms,
    "soft_margin_triplet": functools.partial(triplet_terms, margin=None),
    "n_pair": n_pair_loss,
    "lifted_structure": lifted_structure_terms,
    "generalized_lifted_structure": generalized_lifted_structure_terms,
    "nt_xent": nt_xent_loss,
    "supervised_contrastive": supervised_contrastive_loss,
    "smooth_ap": smooth_ap_loss,
}


def _own_terms(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    """The terms of one of kshot's own losses, called with those settings that `LOSSES` says it has."""
    loss, options = settings.loss, LOSSES[settings.loss.name]
    if loss.name == "prototypical":
        support, query = split_support(labels, settings.images, settings.k_shot)
        return Terms(prototypical_loss(points[support], labels[support], points[query], labels[query]), None)
    given: dict[str, Any] = {}
    if options.margin:
        given["margin"] = loss.margin
    if options.minings:
        given |= {"mining": loss.mining, "generator": generator}
    if len(options.distances) > 1:
        given["distance"] = distance(loss)
    if options.temperature:
        given["temperature"] = loss.temperature
    found = OURS[loss.name](points, labels, **given)
    return found if isinstance(found, Terms) else Terms(found, None)


def distance(loss: LossChoice) -> str:
    """The distance that the loss uses: the one in its settings, or the loss's default."""
    return loss.distance or LOSSES[loss.name].distances[0]
