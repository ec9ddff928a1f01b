"""Chooses the trainable part of a backbone: all of it, low-rank changes, or nothing."""

from typing import Any

from kshot.errors import ParamsError
from kshot.nets.embedding import Embedding
from kshot.nets.lora import add_lora
from kshot.params.sections.train_sections import Lora, Network


def adapt(embedding: Embedding, network: Network, lora: Lora, *, gradient_checkpointing: bool) -> str:
    """Make the part of the backbone trainable that `network.adaptation` names; returns a description of it.

    Raises ParamsError for a backbone that cannot be adapted that way.
    """
    backbone: Any = embedding.backbone
    if gradient_checkpointing:
        if not hasattr(backbone, "set_grad_checkpointing"):
            raise ParamsError(
                f"params.yaml: train.optimizer.gradient_checkpointing is true; {network.backbone} has no layers that "
                "can be computed again: set false, or take one of timm's models without train.network.features"
            )
        backbone.set_grad_checkpointing()
    if network.adaptation == "full":
        return "all of it learns"
    backbone.requires_grad_(requires_grad=False)
    if network.adaptation == "lora":
        return add_lora(backbone, lora.rank, lora.alpha)
    return "the backbone is frozen"
