"""How much of a backbone learns: all of it, low-rank changes, nothing; and at what rate each layer does."""

from typing import Any

from torch import nn

from kshot.embedding import Embedding
from kshot.errors import ParamsError
from kshot.lora import add_lora
from kshot.train_params import Train


def adapt(embedding: Embedding, train: Train) -> str:
    """Let learn of the backbone what `train.adaptation` says; returns in words what does.

    Raises ParamsError for a backbone that cannot learn that way.
    """
    backbone: Any = embedding.backbone
    if train.gradient_checkpointing:
        if not hasattr(backbone, "set_grad_checkpointing"):
            raise ParamsError(
                f"params.yaml: train.gradient_checkpointing is true; {train.backbone} has no layers that can be "
                "computed again: set false, or take one of timm's models without train.features"
            )
        backbone.set_grad_checkpointing()
    if train.adaptation == "full":
        return "all of it learns"
    backbone.requires_grad_(requires_grad=False)
    embedding.holds_backbone = True
    if train.adaptation == "lora":
        return add_lora(backbone, train.lora.rank, train.lora.alpha)
    return "the backbone is held"


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
