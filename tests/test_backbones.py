import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kshot.backbones import ResidualBlock, conv4, create_backbone, load_weights, parameter_count, pixel_statistics
from kshot.errors import CheckpointError, ParamsError

LITE0 = Path(__file__).parents[2] / "shared/weights/tf_efficientnet_lite0.safetensors"


def test_conv4_is_the_papers():
    network = conv4(channels=1, size=28)
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 64)
    # Convolutions 1*64*9 + 64 and three of 64*64*9 + 64, batch norms 4 * 128.
    assert parameter_count(network) == 640 + 3 * 36928 + 512


def test_conv4_grows_with_the_image():
    network = conv4(channels=3, size=84)
    assert network(torch.zeros(1, 3, 84, 84)).shape == (1, network.num_features) == (1, 1600)


def test_conv4_refuses_what_it_cannot_halve():
    with pytest.raises(ParamsError, match="ingest.size is 15"):
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


def test_a_timm_model_is_made_by_name():
    network = create_backbone("resnet10t", channels=1, size=64)
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, network.num_features)


def test_a_name_nobody_knows_shows_the_nearest():
    with pytest.raises(ParamsError, match=r"'resnet18x'.*nearest are.*resnet18"):
        create_backbone("resnet18x", channels=3, size=64)


def test_conv4_has_no_published_weights():
    with pytest.raises(ParamsError, match="train.pretrained is true"):
        create_backbone("conv4", channels=1, size=28, pretrained=True)


@pytest.mark.skipif(not LITE0.exists(), reason="needs the ImageNet weights of tf_efficientnet_lite0 beside the project")
def test_real_weights_load_from_a_local_file_and_tell_pictures_apart():
    network = create_backbone("tf_efficientnet_lite0", channels=3, size=64, checkpoint=LITE0).eval()
    assert pixel_statistics(network, 3) == ([0.5] * 3, [0.5] * 3)
    with torch.inference_mode():
        features = network(torch.stack([torch.zeros(3, 64, 64), torch.rand(3, 64, 64)]))
    assert features.shape == (2, 1280)
    assert (features[0] - features[1]).norm() > 1


@pytest.mark.skipif(not LITE0.exists(), reason="needs the ImageNet weights of tf_efficientnet_lite0 beside the project")
def test_real_colour_weights_are_adapted_to_grey():
    network = create_backbone("tf_efficientnet_lite0", channels=1, size=64, checkpoint=LITE0)
    colour = create_backbone("tf_efficientnet_lite0", channels=3, size=64, checkpoint=LITE0)
    torch.testing.assert_close(network.conv_stem.weight, colour.conv_stem.weight.sum(1, keepdim=True))


def test_weights_of_another_network_are_told_tensor_by_tensor(tmp_path):
    save_file(conv4(3, 28).state_dict(), tmp_path / "other.safetensors")
    network = conv4(1, 28)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    save_file({"0.bias": torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"0.weight missing.*name the backbone"):
        load_weights(network, tmp_path / "other.safetensors")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_shape_that_differs_is_told_with_both_shapes(tmp_path):
    weights = conv4(1, 28).state_dict()
    weights["4.bias"] = torch.zeros(3)
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"4.bias \(3,\) instead of \(64,\)"):
        load_weights(conv4(1, 28), tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"not safetensors"])
def test_a_file_that_is_none_is_told(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_weights(conv4(1, 28), path)


def test_no_network_is_needed_to_be_told_that_hub_weights_are_out_of_reach(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"resnet10t could not be had from the hub.*train.checkpoint"):
        create_backbone("resnet10t", channels=3, size=64, pretrained=True)
