"""Low-rank adaptation (LoRA) of a network's weights (Hu et al. 2021, arXiv:2106.09685), with peft."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from kshot.first_few import first_few

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

TRANSFORMER = 8  # a network with at least this many linear layers counts as a transformer


def add_lora(backbone: nn.Module, rank: int, alpha: int) -> str:
    """Add low-rank changes of `rank`, initially zero, to layers of `backbone`; returns a description of the layers.

    The changes are scaled by `alpha` / rank. A transformer gets them in every linear layer of its blocks, a
    convolutional network in every convolution that mixes channels except the first.
    """
    from peft import LoraConfig, inject_adapter_in_model  # imported here: it imports transformers

    names = lora_targets(backbone)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=names), backbone)
    kinds = sorted({name.split(".")[-1] for name in names})
    return f"LoRA of rank {rank} beside {len(names)} layers: {first_few(kinds, 8)}"


def lora_targets(backbone: nn.Module) -> list[str]:
    """The names of the layers that get low-rank changes."""
    linear = [name for name, layer in backbone.named_modules() if isinstance(layer, nn.Linear)]
    if len(linear) >= TRANSFORMER:
        return linear
    # One group: a depthwise convolution has one small kernel a channel, so there is nothing of low rank to add.
    mixing = [name for name, layer in backbone.named_modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]
    return mixing[1:]


class Merged(NamedTuple):
    """A network without adapters: its weights including low-rank changes, and the changes alone ({} if none)."""

    weights: dict[str, Tensor]
    changes: dict[str, Tensor]


def merged(network: nn.Module) -> Merged:
    """The weights of `network` under their original names, including any low-rank changes."""
    state = network.state_dict()
    changes = {key: tensor for key, tensor in state.items() if ".lora_" in key}
    if not changes:
        return Merged(state, {})
    network = copy.deepcopy(network)
    for layer in _lora_layers(network):
        layer.merge()
    weights = {
        key.replace(".base_layer.", "."): tensor for key, tensor in network.state_dict().items() if ".lora_" not in key
    }
    return Merged(weights, changes)


def _lora_layers(network: nn.Module) -> Iterator["LoraLayer"]:
    from peft.tuners.lora import LoraLayer

    return (module for module in network.modules() if isinstance(module, LoraLayer))
