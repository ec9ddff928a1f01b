"""The training objective: the loss that `train.loss.name` names, with its mining and all of its settings."""

from collections.abc import Callable
from typing import NamedTuple

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


Ours = Callable[[Tensor, Tensor, LossSettings, torch.Generator], Terms]


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
        return OURS[self.settings.loss.name](points, labels, self.settings, generator)


def _prototypical(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    support, query = split_support(labels, settings.images, settings.k_shot)
    return Terms(prototypical_loss(points[support], labels[support], points[query], labels[query]), None)


def _contrastive(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.margin is not None and settings.loss.mining is not None
    return contrastive_terms(
        points, labels, settings.loss.margin, settings.loss.mining, distance(settings.loss), generator
    )


def _triplet(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.mining is not None
    return triplet_terms(points, labels, settings.loss.margin, settings.loss.mining, distance(settings.loss), generator)


def _n_pair(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    return Terms(n_pair_loss(points, labels), None)


def _lifted_structure(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.margin is not None
    return lifted_structure_terms(points, labels, settings.loss.margin, distance(settings.loss))


def _generalized_lifted(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.margin is not None
    return generalized_lifted_structure_terms(points, labels, settings.loss.margin, distance(settings.loss))


def _nt_xent(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.temperature is not None
    return Terms(nt_xent_loss(points, labels, settings.loss.temperature), None)


def _supervised_contrastive(
    points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator
) -> Terms:
    assert settings.loss.temperature is not None
    return Terms(supervised_contrastive_loss(points, labels, settings.loss.temperature), None)


def _smooth_ap(points: Tensor, labels: Tensor, settings: LossSettings, generator: torch.Generator) -> Terms:
    assert settings.loss.temperature is not None
    return Terms(smooth_ap_loss(points, labels, settings.loss.temperature), None)


OURS: dict[str, Ours] = {
    "prototypical": _prototypical,
    "contrastive": _contrastive,
    "triplet": _triplet,
    "soft_margin_triplet": _triplet,
    "n_pair": _n_pair,
    "lifted_structure": _lifted_structure,
    "generalized_lifted_structure": _generalized_lifted,
    "nt_xent": _nt_xent,
    "supervised_contrastive": _supervised_contrastive,
    "smooth_ap": _smooth_ap,
}


def distance(loss: LossChoice) -> str:
    """The distance that the loss uses: the one in its settings, or the loss's default."""
    return loss.distance or LOSSES[loss.name].distances[0]
