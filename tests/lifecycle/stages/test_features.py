"""A frozen backbone: features are computed once; training and predictions are the same as on the pixels."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from kshot.errors import CheckpointError, DataError
from kshot.evaluation.inference import Inference
from kshot.lifecycle.data.packed import read_images
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import embed, train
from kshot.lifecycle.stages.evaluation.predictions import predict
from kshot.lifecycle.stages.features import read_features
from kshot.nets.backbones.backbone import create_backbone
from kshot.nets.embedding import load_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.new_embedding import settings as new_settings
from kshot.params.schema import params_from
from tests.lifecycle import packed_project
from tests.lifecycle.packed_project import PROTOTYPE
from tests.lifecycle.stages.test_train import DEFAULTS, lines
from tests.short_names import set_train

WEIGHTS = "weights.safetensors"


def params(views=1, **changes):
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    mapping["evaluate"]["views"] = views
    usual = {"backbone": "test_resnet", "checkpoint": WEIGHTS, "input_size": 32, "adaptation": "frozen"}
    set_train(mapping, **{**usual, **changes})
    return params_from(mapping)


@pytest.fixture
def root(tmp_path):
    packed_project.write(tmp_path, rotations=True)
    torch.manual_seed(0)
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), tmp_path / WEIGHTS)
    return tmp_path


def shards(root):
    return {path.name: path.read_bytes() for path in (root / layout.EMBEDDED).glob("*.npy")}


def test_every_image_and_every_turn_has_the_features_that_the_backbone_gives(root, capsys):
    embed.run(root, params())
    train.run(root, params())
    network = load_embedding(root / layout.MODEL)
    features = read_features(root, network.settings)
    images = read_images(root)
    assert features.shape == (4 * len(images), network.width)
    turned = np.stack([np.rot90(image, 1) for image in images[:3]])
    pixels = torch.from_numpy(turned.copy()).permute(0, 3, 1, 2)
    with torch.inference_mode():
        wanted = network.features(pixels)
    found = torch.from_numpy(np.array(features[len(images) : len(images) + 3]))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    said = capsys.readouterr().out
    assert "of colour, was summed for grey images" in said
    assert "test_resnet at 32 x 32 pixels" in said
    assert "train.augment is ignored: the backbone is frozen" in said


def test_nothing_learns_in_a_frozen_network_and_its_answers_are_those_of_the_pixels(root, capsys):
    embed.run(root, params())
    train.run(root, params())
    assert lines(root)[-1]["reason"] == "nothing to train"
    printed = capsys.readouterr()
    assert "nothing to train: test_resnet is frozen and is measured as it is\n" in printed.out
    assert "step" not in printed.out + printed.err
    by_features = predict(root, root / layout.MODEL, PROTOTYPE)
    (root / layout.EMBEDDED / "embedded.json").unlink()
    by_pixels = predict(root, root / layout.MODEL, PROTOTYPE)
    torch.testing.assert_close(by_features.points.values, by_pixels.points.values, rtol=1e-3, atol=1e-3)
    assert by_features.summary.equals(by_pixels.summary)


@pytest.mark.parametrize("hidden", [None, 16])
def test_a_head_learns_on_the_features_and_the_backbone_stays(root, hidden):
    settings = params(adaptation="projection", head_dim=8, head_hidden=hidden, steps=60, learning_rate=0.01)
    embed.run(root, settings)
    train.run(root, settings)
    losses = [line["loss"] for line in lines(root) if "loss" in line]
    assert losses[-1] < losses[0]
    network = load_embedding(root / layout.MODEL)
    start = create_backbone("test_resnet", channels=1, size=32)
    assert network.dim == 8
    assert read_features(root, network.settings) is not None
    told = json.loads((root / layout.SPACE).read_text())
    assert told["parameters"]["learned"] < told["parameters"]["total"]
    assert told["before"]["map_at_r"] != told["after"]["map_at_r"]
    assert set(start.state_dict()) == set(network.backbone.state_dict())


@pytest.mark.parametrize("views", [2, 5])
def test_views_of_a_frozen_backbone_are_stored_once_and_answer_as_the_pixels_do(root, views):
    before = params(adaptation="projection", head_dim=8, head_hidden=16)
    embed.run(root, before)
    train.run(root, before)
    folder, weights = root / layout.EMBEDDED, (root / layout.MODEL / "embedding.safetensors").read_bytes()
    plain, kept = shards(root), json.loads((folder / "embedded.json").read_text())
    assert "views" not in kept, "older features say the same"
    settings = load_embedding(root / layout.MODEL).settings
    assert read_features(root, settings, views) is None
    seen = params(views=views, adaptation="projection", head_dim=8, head_hidden=16)
    embed.run(root, seen)
    train.run(root, seen)
    assert shards(root).items() > plain.items()
    assert (root / layout.MODEL / "embedding.safetensors").read_bytes() == weights, "training sees one view"
    found = read_features(root, settings, views)
    assert found.shape == (4 * len(read_images(root)), views, 96)
    inference = dataclasses.replace(PROTOTYPE, views=views)
    by_features = predict(root, root / layout.MODEL, inference)
    alone = predict(root, root / layout.MODEL, PROTOTYPE)
    (folder / "embedded.json").unlink()
    by_pixels = predict(root, root / layout.MODEL, inference)
    torch.testing.assert_close(by_features.points.values, by_pixels.points.values, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(by_features.points.values, alone.points.values, rtol=1e-3, atol=1e-3)
    embed.run(root, before)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*plain, "embedded.json", "features.json"])


def test_a_method_with_parts_of_its_own_trains_them_on_features(root):
    settings = params(method="matching", method_arguments={"full_context": True}, l2_normalize=True)
    embed.run(root, settings)
    train.run(root, settings)
    assert lines(root)[-1]["step"] == 20


def test_features_of_other_weights_are_not_taken(root):
    embed.run(root, params())
    torch.manual_seed(1)
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), root / WEIGHTS)
    train.run(root, params())
    assert read_features(root, load_embedding(root / layout.MODEL).settings) is None


def test_features_of_the_same_weights_under_another_name_are_taken(root):
    embed.run(root, params())
    (root / WEIGHTS).rename(root / "renamed.safetensors")
    train.run(root, params(checkpoint="renamed.safetensors"))
    assert read_features(root, load_embedding(root / layout.MODEL).settings) is not None


def test_features_are_taken_by_how_the_images_were_shown(root):
    embed.run(root, params())
    train.run(root, params())
    content = json.loads((root / layout.MODEL / "embedding.json").read_text())
    assert content["ingest"].pop("crop") == "none"  # settings of an older model have no `crop`
    content["adaptation"] = {"frozen": "head"}[content["adaptation"]]  # the name that the projection had
    settings = settings_of(content)
    assert settings.adaptation == "projection" and read_features(root, settings) is not None
    cropped = dataclasses.replace(settings.ingest, crop="ink")
    assert read_features(root, dataclasses.replace(settings, ingest=cropped)) is None


def test_principal_axes_are_fitted_to_the_training_classes_and_saved(root):
    settings = params(reduce={"dim": 6, "whiten": True})
    embed.run(root, settings)
    train.run(root, settings)
    network = load_embedding(root / layout.MODEL)
    assert (network.dim, network.settings.reduced) == (6, 6)
    features = read_features(root, network.settings)
    ids = np.arange(6 * packed_project.IMAGES)  # the training classes come first
    every = np.concatenate([ids + turn * len(read_images(root)) for turn in range(4)])
    with torch.inference_mode():
        points = network(torch.from_numpy(np.array(features[every])))
    torch.testing.assert_close(points.T.cov(), torch.eye(6), rtol=1e-2, atol=1e-2)
    assert predict(root, root / layout.MODEL, Inference("metric", "simple_shot", "eval")).points.values.shape[1] == 6


def test_more_axes_than_training_images_are_told(root):
    settings = params(reduce={"dim": 300, "whiten": False})
    embed.run(root, settings)
    with pytest.raises(DataError, match="principal components: 300 are asked for"):
        train.run(root, settings)


def test_where_the_backbone_learns_nothing_is_embedded(root, capsys):
    settings = params(adaptation="full", backbone="conv4", checkpoint=None, input_size=None)
    embed.run(root, settings)
    assert "embed: not needed" in capsys.readouterr().out
    assert read_features(root, new_settings(settings)) is None


def test_weights_other_than_those_of_params_yaml_are_refused(root):
    md5 = hashlib.md5((root / WEIGHTS).read_bytes()).hexdigest()
    embed.run(root, params(checkpoint_md5=md5))
    save_file({"conv1.0.weight": torch.zeros(3)}, root / WEIGHTS)
    with pytest.raises(CheckpointError, match=rf"holds other weights \(md5 .*\) than .*{md5}\); bring"):
        embed.run(root, params(checkpoint_md5=md5))


def test_weights_that_do_not_fit_leave_the_features_as_they_were(root):
    embed.run(root, params())
    before = shards(root)
    save_file({"conv1.0.weight": torch.zeros(3)}, root / WEIGHTS)
    with pytest.raises(CheckpointError, match="does not fit the backbone"):
        embed.run(root, params())
    assert shards(root) == before
