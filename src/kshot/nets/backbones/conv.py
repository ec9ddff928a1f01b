"""The small networks of the few-shot literature, without published weights: variants of Conv-4, and ResNet-12."""

import itertools

from torch import Tensor, nn

from kshot.errors import ParamsError
from kshot.params.backbones import LEAST_SIDE

CONV4, CONV4_WIDE, CONV4_MAPS, CONV4_STRIDED = "conv4", "conv4_wide", "conv4_maps", "conv4_strided"
RESNET12 = {"resnet12": (64, 160, 320, 640), "resnet12_narrow": (32, 64, 128, 256)}  # widths of the four blocks
CONV4_WIDTHS = {
    CONV4_WIDE: (64, 64, 128, 128),  # C128F of Gidaris and Komodakis 2018, arXiv:1804.09458
    CONV4_STRIDED: (64, 128, 128, 256),  # the stride saves most of the cost of the width
}


def create_network(name: str, channels: int, size: int) -> nn.Module:
    """Create the network `name` of NETWORKS: (N, channels, size, size) floating to (N, num_features), its attribute."""
    if name in RESNET12:
        return resnet12(channels, size, RESNET12[name])
    # With two pools the maps stay large enough for a relation network to compare: Sung et al. 2018, figure 2.
    widths = CONV4_WIDTHS.get(name, (64, 64, 64, 64))
    return conv4(channels, size, widths, pools=2 if name == CONV4_MAPS else 4, strided=name == CONV4_STRIDED)


def conv4(
    channels: int,
    size: int,
    widths: tuple[int, ...] = (64, 64, 64, 64),
    pools: int = 4,
    *,
    strided: bool = False,
) -> nn.Module:
    """Four blocks of 3x3 convolution, batch norm, ReLU, 2x2 max pooling (Vinyals et al. 2016, arXiv:1606.04080).

    Only the first `pools` blocks pool. With `strided` the first block has a 5x5 convolution of stride 2 instead of a
    3x3 one and a pool, which avoids maps of the image's full size. Maps (N, channels, size, size) to
    (N, widths[-1] * side²), the flattened last maps: side is size // 2^pools, where an odd size is first rounded up if
    strided. Size at least LEAST_SIDE.
    """
    if size < LEAST_SIDE:
        raise ParamsError(
            f"params.yaml: conv4 gets images of {size} x {size} pixels and halves them four times; needs at least "
            f"{LEAST_SIDE}: raise train.network.input_size, which resizes them, or ingest.size"
        )
    blocks: list[nn.Module] = []
    for block, (inputs, width) in enumerate(itertools.pairwise((channels, *widths))):
        halves = strided and block == 0
        first = nn.Conv2d(inputs, width, 5, 2, padding=2) if halves else nn.Conv2d(inputs, width, 3, padding=1)
        blocks += [first, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        # Identity in place of a pool, so that the weights of one variant fit the other.
        blocks.append(nn.MaxPool2d(2) if block < pools and not halves else nn.Identity())
    network = nn.Sequential(*blocks, nn.Flatten())
    network.num_features = widths[-1] * ((size + (size % 2 if strided else 0)) // 2**pools) ** 2
    network.maps = widths[-1]  # type: ignore[assignment]
    return network


class ResidualBlock(nn.Module):
    """Three 3x3 convolutions with a 1x1 shortcut, then 2x2 max pooling if the maps are large enough."""

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
        """Map (N, inputs, H, W) to (N, width, H // 2, W // 2)."""
        ended: Tensor = self.end(self.deep(maps) + self.short(maps))
        return ended


def resnet12(channels: int, size: int, widths: tuple[int, ...] = RESNET12["resnet12"]) -> nn.Module:
    """ResNet-12: four residual blocks of three convolutions (Lee et al. 2019, arXiv:1904.03758).

    Maps (N, channels, size, size) to (N, widths[-1]), the mean of the last maps. Without the dropout of the paper.
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
