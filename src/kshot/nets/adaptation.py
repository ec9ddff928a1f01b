"""How much of a backbone learns: all of it, low-rank changes, nothing."""

from typing import Any

from kshot.errors import ParamsError
from kshot.nets.embedding import Embedding
from kshot.nets.lora import add_lora
from kshot.params.train import Train


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
