import os
from pathlib import Path

import pytest
import torch
from torch import nn

from kshot.errors import CheckpointError, ParamsError
from kshot.nets.backbones.backbone import Input, Start, create_backbone, input_of, parameter_count, pixel_statistics

LITE0 = Path(__file__).parents[4] / "shared/weights/tf_efficientnet_lite0.safetensors"


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050"])  # the second widens its last map
def test_a_timm_model_is_made_by_name(name):
    network = create_backbone(name, channels=1, size=64)
    assert network(torch.zeros(2, 1, 64, 64)).shape == (2, network.num_features)


def test_a_name_nobody_knows_shows_the_nearest():
    with pytest.raises(ParamsError, match=r"'resnet18x'.*nearest are.*resnet18"):
        create_backbone("resnet18x", channels=3, size=64)


def test_conv4_has_no_published_weights():
    with pytest.raises(ParamsError, match="train.network.pretrained is true"):
        create_backbone("conv4", channels=1, size=28, start=Start(pretrained=True))


@pytest.mark.skipif(not LITE0.exists(), reason="needs the ImageNet weights of tf_efficientnet_lite0 beside the project")
def test_real_weights_load_from_a_local_file_and_tell_images_apart():
    network = create_backbone("tf_efficientnet_lite0", channels=3, size=64, start=Start(checkpoint=LITE0)).eval()
    assert pixel_statistics(network, 3) == ([0.5] * 3, [0.5] * 3)
    with torch.inference_mode():
        features = network(torch.stack([torch.zeros(3, 64, 64), torch.rand(3, 64, 64)]))
    assert features.shape == (2, 1280)
    assert (features[0] - features[1]).norm() > 1


@pytest.mark.skipif(not LITE0.exists(), reason="needs the ImageNet weights of tf_efficientnet_lite0 beside the project")
def test_real_colour_weights_are_adapted_to_grey():
    network = create_backbone("tf_efficientnet_lite0", channels=1, size=64, start=Start(checkpoint=LITE0))
    colour = create_backbone("tf_efficientnet_lite0", channels=3, size=64, start=Start(checkpoint=LITE0))
    torch.testing.assert_close(network.conv_stem.weight, colour.conv_stem.weight.sum(1, keepdim=True))


def test_no_network_is_needed_to_be_told_that_hub_weights_are_out_of_reach(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"resnet10t could not be had from the hub.*train.network.checkpoint"):
        create_backbone("resnet10t", channels=3, size=64, start=Start(pretrained=True))


@pytest.mark.skipif(not LITE0.exists(), reason="needs the ImageNet weights of tf_efficientnet_lite0 beside the project")
def test_what_had_to_be_adapted_is_noted():
    network = create_backbone("tf_efficientnet_lite0", channels=1, size=64, start=Start(checkpoint=LITE0))
    assert network.notes == [f"{LITE0.name}: conv_stem.weight, of colour, was summed for grey images"]


def test_named_stages_are_features_and_what_lies_behind_is_left_out():
    whole = create_backbone("resnet10t", channels=3, size=64)
    network = create_backbone("resnet10t", channels=3, size=64, features=["layer1", "layer3"])
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, network.num_features) == (2, 64 + 256)
    assert parameter_count(network) < parameter_count(whole) / 2


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet10t", ["layer1", "layer3"]),
        ("tf_efficientnet_lite0", ["blocks.4"]),
        ("vit_tiny_patch16_224", ["blocks.3"]),
    ],
)
def test_several_parts_have_one_length_and_the_output_is_one_of_them(name, stages):
    torch.manual_seed(0)
    whole = create_backbone(name, channels=3, size=64).eval()
    network = create_backbone(name, channels=3, size=64, features=["output", *stages]).eval()
    network.network.load_state_dict(whole.state_dict())
    with torch.no_grad():
        pixels = torch.rand(3, 3, 64, 64)
        output, features = whole(pixels), network(pixels)
    assert features.shape == (3, network.num_features)
    assert features.square().mean(1) == pytest.approx([1.0] * 3, rel=1e-4)
    last = features[:, -whole.num_features :]
    torch.testing.assert_close(last.norm(dim=1), torch.full((3,), (network.num_features / (len(stages) + 1)) ** 0.5))
    torch.testing.assert_close(nn.functional.normalize(last, dim=1), nn.functional.normalize(output, dim=1))


def test_the_output_as_the_only_feature_is_what_no_name_means():
    torch.manual_seed(0)
    network = create_backbone("resnet10t", channels=3, size=64, features=["output"]).eval()
    with torch.no_grad():
        pixels = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(network(pixels), network.network(pixels), rtol=0, atol=0)


def test_a_stage_nobody_knows_shows_those_that_there_are():
    with pytest.raises(
        ParamsError,
        match=r"names 'layer9'; the stages of this backbone are act1, layer1, .*'output' is what it ends in",
    ):
        create_backbone("resnet10t", channels=3, size=64, features=["layer9"])
    with pytest.raises(ParamsError, match="conv4 has no named stages"):
        create_backbone("conv4", channels=1, size=28, features=["layer1"])


def test_a_transformer_is_made_for_the_size_it_gets():
    network = create_backbone("vit_tiny_patch16_224", channels=3, size=64)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 192)


def test_images_that_are_too_small_are_told_with_what_it_needs():
    with pytest.raises(ParamsError, match=r"gets images of 16 x 16 .* needs at least 32: raise train.network.input"):
        create_backbone("resnet10t", channels=3, size=16)


def test_what_was_trained_gets_images_of_the_size_it_was_trained_on_unless_told_otherwise():
    lite = "tf_efficientnet_lite0"
    assert input_of(lite, packed=64, wanted=None, trained=True) == Input(224, "bicubic")
    assert input_of(lite, packed=64, wanted=None, trained=False) == Input(64, "bicubic")
    assert input_of(lite, packed=64, wanted=96, trained=True) == Input(96, "bicubic")
    assert input_of("conv4", packed=28, wanted=None, trained=True) == Input(28)
