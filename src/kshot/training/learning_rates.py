"""Which parameter learns at what rate and decays, and how the rate changes as training goes on."""

import math
from typing import Any

from torch import Tensor, nn

from kshot.methods.method import Method
from kshot.methods.table import training_parameters
from kshot.params.train_sections import Optimizer


def parameter_groups(method: Method, optimizer: Optimizer, proxy_learning_rate: float) -> list[dict[str, Any]]:
    """The parameters that learn, by learning rate and weight decay, as an optimizer takes them.

    Proxies and the like have a learning rate of their own, the backbone's layers theirs. Weight decay acts on matrices
    and kernels alone: norms, biases, scales and temperatures have one dimension or none, and a network may name more.
    """
    proxies = training_parameters(method)
    apart = {id(parameter) for parameter in proxies}
    shares = rate_shares(method.embedding.backbone, optimizer.layer_decay) if optimizer.layer_decay < 1 else {}
    layers = {id(value): shares.get(name, 1.0) for name, value in method.embedding.backbone.named_parameters()}
    undecayed = _undecayed(method.embedding.backbone)
    learned: dict[tuple[float, bool], list[Tensor]] = {}
    for value in method.parameters():
        if value.requires_grad and id(value) not in apart:
            decays = value.ndim > 1 and id(value) not in undecayed
            learned.setdefault((layers.get(id(value), 1.0), decays), []).append(value)
    groups: list[dict[str, Any]] = [
        {
            "params": values,
            "lr": optimizer.learning_rate * share,
            "weight_decay": optimizer.weight_decay if decays else 0.0,
        }
        for (share, decays), values in sorted(learned.items(), key=lambda item: item[0], reverse=True)
    ]
    if proxies:
        groups.append({"params": proxies, "lr": proxy_learning_rate, "weight_decay": 0.0})
    return groups


def rate_share(step: int, steps: int, warmup_steps: int) -> float:
    """The learning rate of `step` of `steps` as a share of the one that is set, in [0, 1].

    Linear warm-up, then half a cosine down to 0 at the last step (Loshchilov and Hutter 2017, arXiv:1608.03983).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * share))


def rate_shares(backbone: nn.Module, decay: float) -> dict[str, float]:
    """Name of each of the backbone's parameters to the share of the learning rate that it gets: 1 for the last layer,
    `decay` for the one before, its square before that (Clark et al. 2020, arXiv:2003.10555, section 3.3)."""
    inner: Any = getattr(backbone, "network", backbone)
    if hasattr(inner, "group_matcher"):
        from timm.models import group_parameters

        found = group_parameters(inner, inner.group_matcher(coarse=False), reverse=True)
        # timm counts what stands outside of all blocks as a layer behind the last.
        layers = {name: int(layer) if layer != float("inf") else -1 for name, layer in found.items()}
    else:
        layers = {name: int(name.split(".")[0]) for name, _ in inner.named_parameters()}
    last = max(layers.values(), default=0) + 1
    ordered = sorted({layer if layer >= 0 else last for layer in layers.values()})
    share = {layer: decay ** (len(ordered) - 1 - place) for place, layer in enumerate(ordered)}
    prefix = "" if inner is backbone else "network."
    return {prefix + name: share[layer if layer >= 0 else last] for name, layer in layers.items()}


def _undecayed(backbone: nn.Module) -> set[int]:
    """The ids of the parameters that one of timm's models says are not to decay, such as position embeddings."""
    inner: Any = getattr(backbone, "network", backbone)
    named = set(inner.no_weight_decay()) if hasattr(inner, "no_weight_decay") else set()
    return {id(value) for name, value in inner.named_parameters() if name in named}
