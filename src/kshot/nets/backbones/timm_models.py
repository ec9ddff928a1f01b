"""timm's models as backbones: created by name, with weights from the hub, for an image size, or as stages."""

import difflib
import math
from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from kshot import plugins
from kshot.errors import CheckpointError, ParamsError
from kshot.params.backbones import NETWORKS

OUTPUT = "output"  # in train.network.features: what the network ends in


def create_timm_model(name: str, *, channels: int, size: int, pretrained: bool) -> nn.Module:
    """Create timm's `name` without its classifier: (N, channels, size, size) to (N, num_features), its attribute.

    timm's own attribute leaves out what some models do between their last map and the classifier; this one is measured.
    Raises ParamsError for an unknown name, with the nearest known ones, and for a size that it does not support;
    CheckpointError if the hub's weights are not available.
    """
    require_known(name)
    try:
        try:
            # Transformers need the argument img_size; other models do not accept it.
            network = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels, img_size=size)
        except TypeError:
            network = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise CheckpointError(
            f"the weights of {name} could not be had from the hub: {error}; "
            "put a local .safetensors file in train.network.checkpoint and set train.network.pretrained: false"
        ) from error
    network.num_features = _width(network, name, channels, size)
    return network  # type: ignore[no-any-return]


def native_input(name: str) -> tuple[int | None, str | None]:
    """The image size and interpolation that the published weights of `name` were trained with; None if unknown."""
    require_known(name)
    config = get_pretrained_cfg(name, allow_unregistered=True)
    if config is None:
        return None, None
    interpolation = config.interpolation if config.interpolation in ("bilinear", "bicubic") else None
    return config.input_size[-1], interpolation


class Stages(nn.Module):
    """Concatenates the mean maps of some stages of a timm model and, by the name "output", its own output.

    Several parts are each scaled to one length, so that none outweighs the others: maps of inner stages have larger
    numbers, and a projection would begin with these alone. Layers after the last part are removed.
    """

    part_length: Tensor

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        """Take ownership of `network`. Raises ParamsError for a name that is not one of its stages."""
        super().__init__()
        info: Any = getattr(network, "feature_info", None) or []
        known = info.module_name() if hasattr(info, "module_name") else [stage["module"] for stage in info]
        for name in names:
            if name not in [*known, OUTPUT] or not hasattr(network, "forward_intermediates"):
                raise ParamsError(
                    f"params.yaml: train.network.features names {name!r}; the stages of this backbone are "
                    f"{', '.join(known) or 'not named'}, {OUTPUT!r} is what it ends in, and [] takes that alone"
                )
        self.places = sorted({known.index(name) for name in names if name != OUTPUT})
        self.with_output = OUTPUT in names
        channels = info.channels() if hasattr(info, "channels") else [stage["num_chs"] for stage in info]
        widths = [*(channels[place] for place in self.places), *([network.num_features] if self.with_output else [])]
        self.num_features = sum(widths)
        self.pretrained_cfg = network.pretrained_cfg
        if not self.with_output:
            network.prune_intermediate_layers(self.places, prune_norm=False, prune_head=True)  # type: ignore[operator]
        self.network = network
        if len(widths) > 1:
            # The mean square of all numbers is 1. Stored with the weights: a model without scaling cannot be loaded as
            # one with it.
            self.register_buffer("part_length", torch.tensor(math.sqrt(self.num_features / len(widths))))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (N, C, S, S) to (N, num_features)."""
        network: Any = self.network
        if not self.places:
            return network(pixels)  # type: ignore[no-any-return]
        found = network.forward_intermediates(pixels, indices=self.places, intermediates_only=not self.with_output)
        last, maps = found if self.with_output else (None, found)
        parts = [stage.mean((2, 3)) for stage in maps]
        if self.with_output:
            parts.append(network.forward_head(last, pre_logits=True))
        if len(parts) == 1:
            return parts[0]  # type: ignore[no-any-return]
        return torch.cat([nn.functional.normalize(part, dim=1) for part in parts], 1) * self.part_length


def require_known(name: str) -> None:
    """Raise ParamsError, with the nearest known names, for a name that is not one of timm's models."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*NETWORKS, *plugins.names("backbones"), *timm.list_models()], n=3)
        hint = f"the nearest are {', '.join(near)}" if near else "`timm.list_models()` lists them"
        raise ParamsError(f"params.yaml: train.network.backbone is {name!r}, which timm does not know; {hint}")


def _width(network: nn.Module, name: str, channels: int, size: int) -> int:
    """The width of the network's output.

    Raises ParamsError unless it accepts images of this size and its maps keep at least one pixel.
    """
    info = getattr(network, "feature_info", None) or []
    least = max((int(stage["reduction"]) for stage in info), default=1)
    message = f"params.yaml: {name} gets images of {size} x {size} pixels"
    remedy = "raise train.network.input_size, which resizes them, or ingest.size"
    if size < least:
        raise ParamsError(f"{message} and halves them down to 1 / {least}; needs at least {least}: {remedy}")
    training = network.training
    try:
        with torch.no_grad():
            return int(network.eval()(torch.zeros(1, channels, size, size)).flatten(1).shape[1])
    except (AssertionError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise ParamsError(f"{message}, which it cannot take: {what}; {remedy}") from error
    finally:
        network.train(training)
