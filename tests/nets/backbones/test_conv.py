import pytest
import torch

from kshot.errors import ParamsError
from kshot.nets.backbones.backbone import create_backbone, parameter_count
from kshot.nets.backbones.conv import ResidualBlock, conv4


def test_conv4_is_the_papers():
    network = conv4(channels=1, size=28)
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 64)
    # Convolutions 1*64*9 + 64 and three of 64*64*9 + 64, batch norms 4 * 128.
    assert parameter_count(network) == 640 + 3 * 36928 + 512


def test_conv4_grows_with_the_image():
    network = conv4(channels=3, size=84)
    assert network(torch.zeros(1, 3, 84, 84)).shape == (1, network.num_features) == (1, 1600)


def test_the_wide_conv4_widens_where_the_image_is_small():
    network = create_backbone("conv4_wide", channels=1, size=32)
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, network.num_features) == (2, 2 * 2 * 128)
    # 64 to 64, 64 to 128 and 128 to 128 channels after the first; batch norms of 64, 64, 128, 128.
    assert parameter_count(network) == 640 + 36928 + 73856 + 147584 + 2 * 384


@pytest.mark.parametrize(("size", "side"), [(28, 1), (32, 2), (31, 2), (47, 3), (84, 5)])
def test_the_strided_conv4_never_makes_maps_of_the_images_size(size, side):
    network = create_backbone("conv4_strided", channels=1, size=size)
    sides = []
    for layer in network:
        layer.register_forward_hook(lambda _, __, maps: sides.append(maps.shape[2:]))
    assert network(torch.zeros(2, 1, size, size)).shape == (2, network.num_features) == (2, side * side * 256)
    assert max(shape for shape in sides if shape) == ((size + 1) // 2,) * 2
    # 5x5 to 64 channels, then 3x3 from 64 to 128, 128 and 256; batch norms.
    assert parameter_count(network) == 64 * 26 + 73856 + 147584 + 295168 + 2 * 576


def test_the_weights_of_conv4_fit_conv4_maps():
    pooled, maps = (create_backbone(name, channels=1, size=28) for name in ("conv4", "conv4_maps"))
    maps.load_state_dict(pooled.state_dict())
    assert maps.maps == 64
    assert maps(torch.zeros(2, 1, 28, 28)).shape == (2, 64 * 7 * 7)


def test_conv4_refuses_what_it_cannot_halve():
    with pytest.raises(ParamsError, match="15 x 15 pixels"):
        conv4(channels=1, size=15)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (84, 3), (8, 1)])
def test_resnet12_ends_in_as_many_numbers_as_its_last_block_has_maps(size, channels):
    network = create_backbone("resnet12_narrow", channels=channels, size=size)
    assert network(torch.zeros(2, channels, size, size)).shape == (2, network.num_features) == (2, 256)


def test_resnet12_has_the_parameters_of_its_paper():
    # A block of width w on i maps: 9iw + 2 * 9ww + iw weights and four batch norms of 2w.
    widths, inputs = (64, 160, 320, 640), (3, 64, 160, 320)
    counted = sum(10 * i * w + 18 * w * w + 8 * w for i, w in zip(inputs, widths, strict=True))
    assert parameter_count(create_backbone("resnet12", channels=3, size=84)) == counted == 12_424_320


def test_a_residual_block_adds_what_came_in():
    block = ResidualBlock(4, 4, pool=False).eval()
    torch.nn.init.zeros_(block.deep[-1].weight)
    torch.nn.init.dirac_(block.short[0].weight)
    maps = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(block(maps), maps / (1 + 1e-5) ** 0.5)
