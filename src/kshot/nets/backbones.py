"""Networks that turn pixels into features: those of `kshot.nets.conv`, of plug-ins, and any timm model by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from kshot.errors import ParamsError
from kshot.nets.conv import create_network
from kshot.nets.plugin_backbone import create_plugin_backbone
from kshot.nets.pretrained import load_weights
from kshot.params.backbones import NETWORKS, backbone_plugin

PLAIN = "bilinear"  # how pixels are resized for a network that nobody says more of


@dataclass(frozen=True)
class Start:
    """Where a backbone's weights come from: timm's hub, or the local file `checkpoint`; random where from neither.

    pickle: whether the checkpoint may be other than .safetensors.
    """

    pretrained: bool = False
    checkpoint: Path | None = None
    pickle: bool = False


RANDOM = Start()


@dataclass(frozen=True)
class Input:
    """What a network gets: squares of `size` pixels, resized by "bilinear" or "bicubic" where images are not."""

    size: int
    interpolation: str = PLAIN


def create_backbone(
    name: str, *, channels: int, size: int, features: Sequence[str] = (), start: Start = RANDOM
) -> nn.Module:
    """The network `name`: (N, channels, size, size) floating to (N, num_features), its attribute.

    With `features`, stages of a timm model, their mean maps one after another are what it ends in. Its attribute
    `notes` tells in words what had to be changed to fit. Raises ParamsError for a name or a stage that is unknown and
    for images too small, CheckpointError for weights that cannot be had or do not fit.
    """
    notes: list[str] = []
    plugin = backbone_plugin(name)
    if name in NETWORKS or plugin:
        if start.pretrained:
            raise ParamsError(
                f"params.yaml: train.network.pretrained is true; {name} has no published weights: set false"
            )
        if features:
            raise ParamsError(
                f"params.yaml: train.network.features is {list(features)}; {name} has no named stages: set []"
            )
        network = create_plugin_backbone(*plugin, channels, size) if plugin else create_network(name, channels, size)
    else:
        from kshot.nets.timm_models import (
            create_timm_model,  # here, because timm takes seconds and conv4 needs none of it
        )

        network = create_timm_model(name, channels=channels, size=size, pretrained=start.pretrained)
        if start.pretrained and (native := len(pixel_statistics(network, 3)[0])) != channels:
            notes.append(f"{name} was trained on {_colours(native)} images; its first layer was adapted to {channels}")
    if start.checkpoint is not None:
        notes += load_weights(network, start.checkpoint, pickle=start.pickle)
    if features:
        from kshot.nets.timm_models import Stages

        network = Stages(network, features)
    network.notes = notes  # type: ignore[assignment]
    return network


def input_of(name: str, *, packed: int, wanted: int | None, trained: bool) -> Input:
    """What the network `name` is to get: `wanted` pixels, else those that its published weights were trained with
    where it is `trained`, else the `packed` ones."""
    if name in NETWORKS or backbone_plugin(name):
        return Input(wanted or packed)
    from kshot.nets.timm_models import native_input

    size, interpolation = native_input(name)
    return Input(wanted or (size if trained and size else packed), interpolation or PLAIN)


def pixel_statistics(network: nn.Module, channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, of pixels in [0, 1], that `network` was made for; (0, 1) a channel for its own."""
    config: Mapping[str, tuple[float, ...]] = getattr(network, "pretrained_cfg", None) or {}
    mean, std = config.get("mean", (0.0,)), config.get("std", (1.0,))
    if len(mean) == channels:
        return list(mean), list(std)
    return [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels


def parameter_count(network: nn.Module) -> int:
    """How many numbers `network` learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _colours(channels: int) -> str:
    return "colour" if channels == 3 else "grey"
