"""Networks that turn pixels into features: kshot's own, those of plug-ins, and any timm model by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from kshot.errors import ParamsError
from kshot.nets.backbones.conv import create_network
from kshot.nets.backbones.plugin_backbone import create_plugin_backbone
from kshot.nets.backbones.pretrained import load_weights
from kshot.params.backbones import NETWORKS, backbone_plugin

PLAIN = "bilinear"  # interpolation for a network whose own is unknown


@dataclass(frozen=True)
class Start:
    """Where a backbone's weights come from: timm's hub, the local file `checkpoint`, or random initialisation.

    pickle: whether the checkpoint may be a file other than .safetensors.
    """

    pretrained: bool = False
    checkpoint: Path | None = None
    pickle: bool = False


RANDOM = Start()


@dataclass(frozen=True)
class Input:
    """The input of a network: squares of `size` pixels; other images are resized by "bilinear" or "bicubic"."""

    size: int
    interpolation: str = PLAIN


def create_backbone(
    name: str, *, channels: int, size: int, features: Sequence[str] = (), start: Start = RANDOM
) -> nn.Module:
    """Create the network `name`: (N, channels, size, size) floating to (N, num_features), its attribute.

    With `features`, stages of a timm model, its output is the concatenation of their mean maps. Its attribute `notes`
    describes what was changed to make the weights fit. Raises ParamsError for an unknown name or stage and for images
    too small, CheckpointError for weights that are not available or do not fit.
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
        from kshot.nets.backbones.timm_models import (
            create_timm_model,  # imported here: timm takes seconds, and conv4 does not need it
        )

        network = create_timm_model(name, channels=channels, size=size, pretrained=start.pretrained)
        if start.pretrained and (native := len(pixel_statistics(network, 3)[0])) != channels:
            notes.append(f"{name} was trained on {_colours(native)} images; its first layer was adapted to {channels}")
    if start.checkpoint is not None:
        notes += load_weights(network, start.checkpoint, pickle=start.pickle)
    if features:
        from kshot.nets.backbones.timm_models import Stages

        network = Stages(network, features)
    network.notes = notes  # type: ignore[assignment]
    return network


def input_of(name: str, *, packed: int, wanted: int | None, trained: bool) -> Input:
    """The input of the network `name`.

    Its size is `wanted` if given; else, if `trained`, the size that its published weights were trained with; else the
    `packed` size.
    """
    if name in NETWORKS or backbone_plugin(name):
        return Input(wanted or packed)
    from kshot.nets.backbones.timm_models import native_input

    size, interpolation = native_input(name)
    return Input(wanted or (size if trained and size else packed), interpolation or PLAIN)


def pixel_statistics(network: nn.Module, channels: int) -> tuple[list[float], list[float]]:
    """Per-channel mean and std that `network` expects of pixels in [0, 1]; (0, 1) for kshot's own networks."""
    config: Mapping[str, tuple[float, ...]] = getattr(network, "pretrained_cfg", None) or {}
    mean, std = config.get("mean", (0.0,)), config.get("std", (1.0,))
    if len(mean) == channels:
        return list(mean), list(std)
    return [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels


def parameter_count(network: nn.Module) -> int:
    """The number of parameters of `network`."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _colours(channels: int) -> str:
    return "colour" if channels == 3 else "grey"
