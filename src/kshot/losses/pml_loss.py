"""Losses of pytorch-metric-learning, by the names in `kshot.params.pml_losses`. No other file imports it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kshot.distances import full_precision
from kshot.losses.arguments import check_batch
from kshot.losses.terms import empty_terms
from kshot.params.pml_losses import PML_LOSSES


class PmlLoss(nn.Module):
    """A loss of pytorch-metric-learning as a module, with everything in its state that resuming a training needs.

    `arguments` replace the defaults of PML_LOSSES. Proxies and class weights for `n_classes` classes and `dim`
    dimensions are drawn from `seed`; the caller's random state is unchanged. Raises ValueError for an unknown name or
    argument.
    """

    def __init__(self, name: str, arguments: Mapping[str, float], *, n_classes: int, dim: int, seed: int) -> None:
        super().__init__()
        if name not in PML_LOSSES:
            raise ValueError(f"the loss is {name!r}; needs one of {', '.join(PML_LOSSES)}")
        if wrong := PML_LOSSES[name].check(name, arguments):
            raise ValueError(wrong)
        self.name = name
        defaults = PML_LOSSES[name].arguments
        chosen = {key: type(default)(arguments.get(key, default)) for key, default in defaults.items()}
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it also seeds every accelerator, which fork_rng(devices=[]) does not restore.
            torch.default_generator.manual_seed(seed)
            self.loss = _make(name, chosen, n_classes, dim)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """points (B, D) floating; labels (B,) int64 in [0, n_classes). Returns a scalar, 0 without images.

        Outside autocast.
        """
        check_batch(points, labels)
        if self.name == "cross_batch_memory" and len(points) > self.loss.memory_size:
            raise ValueError(
                f"the batch has {len(points)} images; memory_size of cross_batch_memory is {self.loss.memory_size}: "
                "raise it to a batch or more"
            )
        if not len(points):
            return empty_terms(points).loss
        with torch.autocast(points.device.type, enabled=False):
            wide = full_precision(points)
            value: Tensor = self._proxy_nca(wide, labels) if self.name == "proxy_nca" else self.loss(wide, labels)
        return value.sum()

    def _proxy_nca(self, points: Tensor, labels: Tensor) -> Tensor:
        # pytorch-metric-learning leaves out the images whose softmax underflows, the hardest ones, and above a scale of
        # 30 its gradient is NaN. With one proxy a class its loss is this cross-entropy.
        self.loss.cast_types(points.dtype, points.device)
        return cross_entropy(-self.loss.softmax_scale * self.loss.get_logits(points), labels)

    def get_extra_state(self) -> Tensor:
        """Position in the loss's memory, which the library stores outside its state; empty for losses without one."""
        if self.name != "cross_batch_memory":
            return torch.zeros(0, dtype=torch.int64)
        return torch.tensor([self.loss.queue_idx, self.loss.has_been_filled])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the state that `get_extra_state` returned."""
        if len(state):
            self.loss.queue_idx, self.loss.has_been_filled = int(state[0]), bool(state[1])


def _make(name: str, chosen: dict[str, Any], n_classes: int, dim: int) -> Any:
    # Here, because its import takes seconds and pulls in scikit-learn.
    from pytorch_metric_learning import losses

    known: dict[str, Any] = {
        "multi_similarity": losses.MultiSimilarityLoss,
        "circle": losses.CircleLoss,
        "intra_pair_variance": losses.IntraPairVarianceLoss,
        "angular": losses.AngularLoss,
        "fast_ap": losses.FastAPLoss,
    }
    with_classes: dict[str, Any] = {
        "proxy_nca": losses.ProxyNCALoss,
        "proxy_anchor": losses.ProxyAnchorLoss,
        "soft_triple": losses.SoftTripleLoss,
        "normalized_softmax": losses.NormalizedSoftmaxLoss,
        "arcface": losses.ArcFaceLoss,
        "subcenter_arcface": losses.SubCenterArcFaceLoss,
        "cosface": losses.CosFaceLoss,
    }
    if name in known:
        return known[name](**chosen)
    if name in with_classes:
        return with_classes[name](num_classes=n_classes, embedding_size=dim, **chosen)
    if name == "margin_beta":
        return losses.MarginLoss(learn_beta=True, num_classes=n_classes, **chosen)
    assert name == "cross_batch_memory"
    inner = losses.ContrastiveLoss(neg_margin=chosen["margin"])
    return losses.CrossBatchMemory(inner, embedding_size=dim, memory_size=chosen["memory_size"])
