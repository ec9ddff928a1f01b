"""Learning rate and weight decay of each parameter, and the schedule of the rate during training."""

import math
from typing import Any

from torch import Tensor, nn

from kshot.methods.method import Method
from kshot.methods.table import training_parameters
from kshot.params.sections.train_sections import Optimizer


def parameter_groups(method: Method, optimizer: Optimizer, proxy_learning_rate: float) -> list[dict[str, Any]]:
    """The trainable parameters, grouped by learning rate and weight decay, as an optimizer takes them.

    Proxies and similar parameters have their own learning rate, and so has each layer of the backbone. Weight decay
    applies only to matrices and kernels, not to norms, biases, scales and temperatures, which have one dimension or
    none; a network may exclude more.
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
    """The learning rate of `step` of `steps` as a share of the configured one, in [0, 1].

    Linear warm-up, then half a cosine down to 0 at the last step (Loshchilov and Hutter 2017, arXiv:1608.03983).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * share))


def rate_shares(backbone: nn.Module, decay: float) -> dict[str, float]:
    """The share of the learning rate for each of the backbone's parameters, by name.

    1 for the last layer, `decay` for the one before, its square for the one before that, and so on (Clark et al. 2020,
    arXiv:2003.10555, section 3.3).
    """
    inner: Any = getattr(backbone, "network", backbone)
    if hasattr(inner, "group_matcher"):
        from timm.models import group_parameters

        found = group_parameters(inner, inner.group_matcher(coarse=False), reverse=True)
        # timm assigns parameters outside of all blocks to a layer after the last.
        layers = {name: int(layer) if layer != float("inf") else -1 for name, layer in found.items()}
    else:
        layers = {name: int(name.split(".")[0]) for name, _ in inner.named_parameters()}
    last = max(layers.values(), default=0) + 1
    ordered = sorted({layer if layer >= 0 else last for layer in layers.values()})
    share = {layer: decay ** (len(ordered) - 1 - place) for place, layer in enumerate(ordered)}
    prefix = "" if inner is backbone else "network."
    return {prefix + name: share[layer if layer >= 0 else last] for name, layer in layers.items()}


def _undecayed(backbone: nn.Module) -> set[int]:
    """The ids of the parameters that a timm model excludes from weight decay, such as position embeddings."""
    inner: Any = getattr(backbone, "network", backbone)
    named = set(inner.no_weight_decay()) if hasattr(inner, "no_weight_decay") else set()
    return {id(value) for name, value in inner.named_parameters() if name in named}
