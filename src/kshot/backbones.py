"""Networks that turn pixels into features: Conv-4, pooled or as maps, ResNet-12, and any timm model by name."""

import difflib
import itertools
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kshot.errors import CheckpointError, ParamsError

CONV4, CONV4_MAPS = "conv4", "conv4_maps"
RESNET12 = {"resnet12": (64, 160, 320, 640), "resnet12_narrow": (32, 64, 128, 256)}  # widths of the four blocks
OWN = (CONV4, CONV4_MAPS, *RESNET12)


def conv4(channels: int, size: int, width: int = 64, pools: int = 4) -> nn.Module:
    """Four blocks of 3x3 convolution, batch norm, ReLU, 2x2 max pooling (Vinyals et al. 2016, arXiv:1606.04080).

    Only the first `pools` blocks pool. (N, channels, size, size) to (N, width * (size // 2^pools)²), `width` maps one
    after another; size at least 16.
    """
    if size < 16:
        raise ParamsError(f"params.yaml: ingest.size is {size}; conv4 halves four times and needs at least 16 pixels")
    blocks: list[nn.Module] = []
    for block, inputs in enumerate((channels, width, width, width)):
        blocks += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        blocks += [nn.MaxPool2d(2)] if block < pools else []
    network = nn.Sequential(*blocks, nn.Flatten())
    network.num_features = width * (size // 2**pools) ** 2
    network.maps = width  # type: ignore[assignment]
    return network


class ResidualBlock(nn.Module):
    """Three 3x3 convolutions beside a 1x1 one, then 2x2 max pooling where there is anything left to pool."""

    def __init__(self, inputs: int, width: int, *, pool: bool) -> None:
        super().__init__()
        widths = (inputs, width, width, width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), _leaky()]
        self.deep = nn.Sequential(*layers[:-1])
        self.short = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.end = nn.Sequential(_leaky(), nn.MaxPool2d(2) if pool else nn.Identity())

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, width, H // 2, W // 2)."""
        ended: Tensor = self.end(self.deep(maps) + self.short(maps))
        return ended


def resnet12(channels: int, size: int, widths: tuple[int, ...] = RESNET12["resnet12"]) -> nn.Module:
    """The residual network of the field, four blocks of three convolutions (Lee et al. 2019, arXiv:1904.03758).

    (N, channels, size, size) to (N, widths[-1]), the mean of the last maps. Without the dropout of the paper.
    """
    inputs = (channels, *widths[:-1])
    blocks = [
        ResidualBlock(before, width, pool=size >> step > 1)
        for step, (before, width) in enumerate(zip(inputs, widths, strict=True))
    ]
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.num_features = widths[-1]  # type: ignore[assignment]
    return network


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.1, inplace=True)


def create_backbone(
    name: str, *, channels: int, size: int, pretrained: bool = False, checkpoint: Path | None = None
) -> nn.Module:
    """The network `name`: (N, channels, size, size) floating to (N, num_features), its attribute.

    `pretrained` takes timm's weights from the hub, `checkpoint` a local .safetensors file with timm's names. Raises
    ParamsError for an unknown name, CheckpointError for weights that cannot be had or do not fit.
    """
    if name in OWN and pretrained:
        raise ParamsError(f"params.yaml: train.pretrained is true; {name} has no published weights: set false")
    if name in RESNET12:
        network = resnet12(channels, size, RESNET12[name])
    elif name in OWN:
        # Two pools leave the maps that a relation network compares: Sung et al. 2018, figure 2.
        network = conv4(channels, size, pools=4 if name == CONV4 else 2)
    else:
        network = _timm_model(name, channels, pretrained)
    if checkpoint is not None:
        load_weights(network, checkpoint)
    return network


def pixel_statistics(network: nn.Module, channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, of pixels in [0, 1], that `network` was made for; (0, 1) a channel for conv4."""
    config: Mapping[str, tuple[float, ...]] = getattr(network, "pretrained_cfg", None) or {}
    mean, std = config.get("mean", (0.0,)), config.get("std", (1.0,))
    if len(mean) == channels:
        return list(mean), list(std)
    return [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a .safetensors file into `network`, leaving out a classifier that it has and the network has not.

    Raises CheckpointError naming the tensors that are missing or of another shape; the network is then as before.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors: {error}; give a local .safetensors file"
        ) from error
    from timm.models import adapt_input_conv

    wanted = network.state_dict()
    for key, tensor in found.items():
        target = wanted.get(key)
        if (
            target is not None
            and tensor.ndim == 4
            and tensor.shape[1] == 3
            and target.shape[1] not in (3, tensor.shape[1])
        ):
            found[key] = adapt_input_conv(target.shape[1], tensor)
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    misfits = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in found and found[key].shape != tensor.shape
    ]
    if missing or misfits:
        problems = [*(f"{key} missing" for key in missing), *misfits]
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(
            f"{path} does not fit the backbone: {'; '.join(problems[:3])}{more}; "
            "name the backbone that the file was made for"
        )
    network.load_state_dict({key: found.get(key, tensor) for key, tensor in wanted.items()})


def _timm_model(name: str, channels: int, pretrained: bool) -> nn.Module:
    import timm  # here, because it takes several seconds and conv4 needs none of it

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*OWN, *timm.list_models()], n=3)
        hint = f"the nearest are {', '.join(near)}" if near else "`timm.list_models()` lists them"
        raise ParamsError(f"params.yaml: train.backbone is {name!r}, which timm does not know; {hint}")
    try:
        network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise CheckpointError(
            f"the weights of {name} could not be had from the hub: {error}; "
            "put a local .safetensors file in train.checkpoint and set train.pretrained: false"
        ) from error
    return network


def parameter_count(network: nn.Module) -> int:
    """How many numbers `network` learns."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
