from pathlib import Path

import pytest
import torch

from kshot.errors import ParamsError
from kshot.methods.table import build_method
from kshot.nets import adaptation
from kshot.nets.backbones.backbone import create_backbone, parameter_count
from kshot.nets.embedding import Embedding, load_embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.lora import lora_targets, merged
from kshot.params.schema import load_params
from kshot.training.learning_rates import parameter_groups, rate_shares
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[2] / "params.yaml").train


def train(**changes):
    return train_with(TRAIN, checkpoint="weights.safetensors", **changes)


def adapt(network, settings):
    again = settings.optimizer.gradient_checkpointing
    return adaptation.adapt(network, settings.network, settings.lora, gradient_checkpointing=again)


def embedding(backbone, **changes):
    torch.manual_seed(0)
    settings = {"backbone": backbone, "head_dim": None, "l2_normalize": False, **changes}
    return Embedding(settings_of({**settings, "ingest": {"size": 64, "channels": 3, "invert": False}}))


def images(count=6):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("backbone", ["test_vit", "test_efficientnet"])
def test_low_rank_changes_do_nothing_at_first_and_alone_learn(backbone):
    plain, changed = embedding(backbone), embedding(backbone)
    said = adapt(changed, train(adaptation="lora"))
    torch.testing.assert_close(changed.eval()(images()), plain.eval()(images()))
    learned = {name for name, value in changed.named_parameters() if value.requires_grad}
    assert learned and all(".lora_" in name for name in learned)
    assert f"LoRA of rank 8 beside {len(learned) // 2} layers" in said
    assert parameter_count(changed) < parameter_count(plain) / 3


def test_in_a_transformer_they_lie_beside_its_linear_layers_in_a_convolutional_network_beside_what_mixes_channels():
    kinds = {name.split(".")[-1] for name in lora_targets(create_backbone("test_vit", channels=3, size=64))}
    assert kinds == {"qkv", "proj", "fc1", "fc2"}
    network = create_backbone("test_efficientnet", channels=3, size=64)
    layers = dict(network.named_modules())
    names = lora_targets(network)
    assert names and "conv_stem" not in names
    assert all(layers[name].groups == 1 for name in names)


@pytest.mark.parametrize("backbone", ["test_vit", "test_efficientnet"])
def test_a_saved_model_holds_the_sum_and_the_changes_and_loads_without_them(backbone, tmp_path):
    changed = embedding(backbone)
    adapt(changed, train(adaptation="lora"))
    for name, value in changed.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(value, std=0.05)
    before = {key: value.clone() for key, value in changed.state_dict().items()}
    save_embedding(changed, tmp_path)
    loaded = load_embedding(tmp_path)
    torch.testing.assert_close(loaded(images()), changed.eval()(images()), rtol=1e-3, atol=1e-3)
    assert not any("lora" in key for key in loaded.state_dict())
    assert (tmp_path / "adapter.safetensors").stat().st_size < (tmp_path / "embedding.safetensors").stat().st_size
    assert all(torch.equal(before[key], value) for key, value in changed.state_dict().items()), "saving changes nothing"


def test_a_network_without_changes_is_saved_as_it_is():
    network = embedding("conv4")
    assert merged(network).changes == {}
    assert list(merged(network).weights) == list(network.state_dict())


@pytest.mark.parametrize("how", ["projection", "frozen"])
def test_a_held_backbone_has_no_gradient_and_keeps_its_batch_norms(how):
    network = embedding("test_resnet", adaptation=how, head_dim=5 if how == "projection" else None)
    adapt(network, train(adaptation=how, head_dim=5 if how == "projection" else None))
    before = {key: value.clone() for key, value in network.backbone.state_dict().items()}
    network.train()
    points = network(images())
    if how == "projection":
        points.sum().backward()
        assert network.head.weight.grad is not None
    assert all(value.grad is None for value in network.backbone.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.backbone.state_dict().items())


def test_computing_again_gives_the_same_gradient():
    slopes = []
    for again in (False, True):
        network = embedding("test_vit").train()
        adapt(network, train_with(TRAIN, gradient_checkpointing=again))
        network(images()).square().sum().backward()
        slopes.append(network.backbone.patch_embed.proj.weight.grad)
    torch.testing.assert_close(*slopes)


def test_a_network_that_cannot_compute_again_says_so():
    with pytest.raises(ParamsError, match="gradient_checkpointing is true; conv4 has no layers"):
        adapt(embedding("conv4"), train_with(TRAIN, gradient_checkpointing=True))


def test_rates_fall_from_layer_to_layer_in_networks_of_ours_and_of_timms():
    ours = rate_shares(create_backbone("conv4", channels=1, size=28), 0.5)
    assert (ours["0.weight"], ours["1.weight"]) == (0.5**7, 0.5**6)
    assert ours["13.bias"] == 1
    theirs = rate_shares(create_backbone("test_vit", channels=3, size=64), 0.5)
    blocks = [theirs[f"blocks.{place}.mlp.fc1.weight"] for place in range(6)]
    assert blocks == [0.5 * rate for rate in blocks[1:]] + [blocks[-1]]
    assert theirs["patch_embed.proj.weight"] < blocks[0]
    assert theirs["norm.weight"] == 1


def test_the_optimiser_gets_each_layer_at_its_rate_and_the_head_at_the_whole():
    network = embedding("test_resnet", head_dim=4)
    settings = train_with(TRAIN, layer_decay=0.5, learning_rate=0.01, head_dim=4)
    method = build_method({"name": "metric", "n_way": 2, "k_shot": 1, "arguments": {}}, network)
    rates = {
        id(value): group["lr"]
        for group in parameter_groups(method, settings.optimizer, settings.loss.proxy_learning_rate)
        for value in group["params"]
    }
    assert rates[id(network.head.weight)] == 0.01
    assert rates[id(network.backbone.conv1[0].weight)] < rates[id(network.backbone.layer4[0].conv1.weight)] <= 0.01
    assert len(rates) == len(list(method.parameters()))


def test_only_matrices_and_kernels_decay():
    network = embedding("test_vit", head_dim=4)
    settings = train_with(TRAIN, weight_decay=0.1, head_dim=4)
    described = {"name": "prototypical", "n_way": 2, "k_shot": 1, "arguments": {"learn_temperature": True}}
    method = build_method(described, network)
    decays = {
        id(value): group["weight_decay"]
        for group in parameter_groups(method, settings.optimizer, settings.loss.proxy_learning_rate)
        for value in group["params"]
    }
    named = dict(method.named_parameters())
    assert len(decays) == len(named)
    kept = {name for name, value in named.items() if decays[id(value)] == 0}
    assert {
        "log_scale",
        "embedding.head.bias",
        "embedding.backbone.norm.weight",
        "embedding.backbone.pos_embed",
    } <= kept
    assert all(name.rpartition(".")[2] == "weight" for name in set(named) - kept)
    for name in ("embedding.head.weight", "embedding.backbone.patch_embed.proj.weight"):
        assert decays[id(named[name])] == 0.1
