"""The one door to pytorch-metric-learning: its losses by the names of `kshot.losses_of_peers`, and by no other."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kshot.losses.arguments import check_batch
from kshot.losses_of_peers import PEERS


class PeerLoss(nn.Module):
    """A loss of pytorch-metric-learning; its parameters are what it learns, its state all that a resumption needs.

    `arguments` replace the defaults of PEERS. Proxies and class weights of `n_classes` classes and `dim` dimensions
    are drawn from `seed`, and the caller's random numbers stay as they are. Raises ValueError for an unknown name or
    argument.
    """

    def __init__(self, name: str, arguments: Mapping[str, float], *, n_classes: int, dim: int, seed: int) -> None:
        super().__init__()
        if name not in PEERS:
            raise ValueError(f"the loss is {name!r}; needs one of {', '.join(PEERS)}")
        if wrong := PEERS[name].check(name, arguments):
            raise ValueError(wrong)
        self.name = name
        defaults = PEERS[name].arguments
        chosen = {key: type(default)(arguments.get(key, default)) for key, default in defaults.items()}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.loss = _make(name, chosen, n_classes, dim)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """points (B, D) floating; labels (B,) int64 in [0, n_classes). Returns a scalar, outside autocast."""
        check_batch(points, labels)
        if self.name == "smooth_ap" and len(labels.unique(return_counts=True)[1].unique()) > 1:  # type: ignore[no-untyped-call]
            raise ValueError("smooth_ap was given classes of unequal sizes; needs as many images of each class")
        with torch.autocast(points.device.type, enabled=False):
            value: Tensor = self.loss(points if points.dtype == torch.float64 else points.float(), labels)
        return value.sum()

    def get_extra_state(self) -> Tensor:
        """Where a memory stands, which the peer keeps outside of its state; empty for losses without one."""
        if self.name != "cross_batch_memory":
            return torch.zeros(0, dtype=torch.int64)
        return torch.tensor([self.loss.queue_idx, self.loss.has_been_filled])

    def set_extra_state(self, state: Tensor) -> None:
        """Undo `get_extra_state`."""
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
        "smooth_ap": losses.SmoothAPLoss,
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
