import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from kshot.evaluation.inference import load_inference
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import evaluate, train
from kshot.lifecycle.stages.evaluation import open_set
from kshot.methods.saving import load_method
from kshot.nets.embedding import embed
from kshot.params.methods import METHODS
from kshot.params.schema import params_from
from tests.lifecycle import packed_project
from tests.short_names import set_train

DEFAULTS = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluated")
    packed_project.write(root)
    params = params_from(yaml.safe_load(packed_project.params(DEFAULTS.read_text())))
    train.run(root, params)
    evaluate.run(root, params)
    return root


def test_metrics_agree_with_the_episodes_kept(root):
    metrics = json.loads((root / layout.METRICS).read_text())
    episodes = pd.read_parquet(root / layout.EVALUATION / "episodes.parquet")
    for protocol, rows in episodes.groupby("protocol"):
        figure = metrics["accuracy"][protocol]
        assert figure["mean"] == pytest.approx(rows["accuracy"].mean(), abs=1e-6)
        assert figure["low"] <= figure["mean"] <= figure["high"]
        assert figure["episodes"] == len(rows) == 20


def test_the_space_separates_what_was_learnt(root):
    metrics = json.loads((root / layout.METRICS).read_text())
    assert metrics["accuracy"]["3w2s"]["mean"] > 0.8
    assert metrics["geometry"]["ratio"] < 1
    assert 0 < metrics["geometry"]["map_at_r"] <= metrics["geometry"]["recall_at_1"] <= 1


def test_the_geometry_of_many_images_is_that_of_random_classes_and_says_of_how_many(root, tmp_path, monkeypatch):
    assert "geometry_images" not in json.loads((root / layout.METRICS).read_text())
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(evaluate, "COMPARED_IMAGES", 3 * packed_project.IMAGES)
    sizes = []
    measure = evaluate.geometry
    monkeypatch.setattr(
        evaluate, "geometry", lambda points, labels: sizes.append(len(points)) or measure(points, labels)
    )
    evaluate.run(tmp_path, params_from(yaml.safe_load(packed_project.params(DEFAULTS.read_text()))))
    assert sizes == [3 * packed_project.IMAGES]
    assert json.loads((tmp_path / layout.METRICS).read_text())["geometry_images"] == 3 * packed_project.IMAGES


def test_unknown_queries_are_measured_by_a_threshold_of_the_validation_classes(root):
    metrics = json.loads((root / layout.METRICS).read_text())
    assert set(metrics["unknown"]) == {"3w1s", "3w2s"}
    for figures in metrics["unknown"].values():
        assert figures["auroc"] > 0.6 and 0 <= figures["false_accept"] < figures["accepted"] <= 1
    kept = load_inference(root / layout.EVALUATION)
    assert kept.thresholds == {1: metrics["unknown"]["3w1s"]["threshold"], 2: metrics["unknown"]["3w2s"]["threshold"]}


def test_a_model_has_thresholds_where_every_test_episode_asks_all_classes_and_none_is_unknown(
    root, tmp_path, monkeypatch
):
    before = load_inference(root / layout.EVALUATION).thresholds
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(open_set, "open_set", lambda *_: None)
    evaluate.run(tmp_path, params_from(yaml.safe_load(packed_project.params(DEFAULTS.read_text()))))
    assert json.loads((tmp_path / layout.METRICS).read_text())["unknown"] == {}
    assert load_inference(tmp_path / layout.EVALUATION).thresholds == before != {}


def test_a_classifier_that_compares_by_cosine_has_thresholds_of_cosine_distance(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    mapping["evaluate"]["classifier"] = "attention"
    evaluate.run(tmp_path, params_from(mapping))
    metrics, kept = json.loads((tmp_path / layout.METRICS).read_text()), load_inference(tmp_path / layout.EVALUATION)
    assert metrics["inference"]["distance"] == kept.distance == "cosine"
    assert len(kept.thresholds) == 2 and all(0 < value < 2 for value in kept.thresholds.values())
    assert all(figures["auroc"] > 0.6 for figures in metrics["unknown"].values())


def test_a_temperature_of_the_validation_classes_brings_probabilities_nearer_to_the_shares_that_are_right(tmp_path):
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    images = tmp_path / layout.PACKED / "images.npy"
    noise = np.random.default_rng(1).normal(0, 160, np.load(images).shape)  # so that some queries are predicted wrong
    np.save(images, np.clip(np.load(images) + noise, 0, 255).astype(np.uint8))
    params = params_from(mapping)
    train.run(tmp_path, params)
    evaluate.run(tmp_path, params)
    metrics = json.loads((tmp_path / layout.METRICS).read_text())
    stored = load_inference(tmp_path / layout.EVALUATION)
    for name, (n_way, k_shot) in {"3w1s": (3, 1), "3w2s": (3, 2)}.items():
        figures = metrics["calibration"][name]
        assert figures["temperature"] == stored.temperature(n_way, k_shot) > 0
        assert 0 <= figures["after"] < figures["before"] <= 1 and figures["queries"] == 20 * 3 * 2


def test_a_model_that_was_trained_on_the_validation_classes_has_no_threshold_and_no_temperature(tmp_path):
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    set_train(mapping, splits=["train", "val"], patience=0)
    params = params_from(mapping)
    train.run(tmp_path, params)
    evaluate.run(tmp_path, params)
    figures = json.loads((tmp_path / layout.METRICS).read_text())["unknown"]["3w1s"]
    assert figures["threshold"] is None and figures["false_accept"] is None and figures["auroc"] > 0.6
    stored = load_inference(tmp_path / layout.EVALUATION)
    assert stored.thresholds == {} and stored.temperature(3, 1) is None
    assert "calibration" not in json.loads((tmp_path / layout.METRICS).read_text())


def test_a_memory_augmented_model_tells_its_accuracies_by_instance(tmp_path):
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    set_train(mapping, method="mann", n_way=3, steps=4, validate_every=2)
    mapping["episodes"]["protocols"] = FEW
    params = params_from(mapping)
    train.run(tmp_path, params)
    evaluate.run(tmp_path, params)
    found = json.loads((tmp_path / layout.METRICS).read_text())["stream"]
    # Two queries of each class, and one or two support images.
    assert {name: len(accuracies) for name, accuracies in found.items()} == {"3w1s": 3, "3w2s": 4}
    assert all(0.1 < value < 0.9 for accuracies in found.values() for value in accuracies), "four steps teach nothing"


def test_every_table_has_its_columns(root):
    columns = {
        "accuracy.csv": ["protocol", "mean", "low", "high", "episodes"],
        "groups.csv": ["protocol", "group", "queries", "accuracy", "low", "high"],
        "classes.csv": ["protocol", "class", "rotation", "queries", "accuracy", "low", "high"],
        "confusions.csv": ["protocol", "class", "predicted", "count", "queries", "rate", "low"],
        "projection.csv": ["x", "y", "class", "group", "image"],
    }
    for name, wanted in columns.items():
        assert pd.read_csv(root / layout.EVALUATION / name).columns.tolist() == wanted


def test_the_projection_shows_test_images_alone(root):
    table = pd.read_csv(root / layout.EVALUATION / "projection.csv")
    assert len(table) == 6 * packed_project.IMAGES
    assert set(table["group"]) == {"c"}
    assert table["image"].between(12 * packed_project.IMAGES, 18 * packed_project.IMAGES - 1).all()


FEW = {
    "3w1s": {"n_way": 3, "k_shot": 1, "within_group": False},
    "3w2s": {"n_way": 3, "k_shot": 2, "within_group": False},
}


SLOW = ("maml", "anil", "reptile")  # they learn in every episode: reptile 50 steps by default


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_through_training_and_evaluation_by_its_name_alone(tmp_path, method):
    packed_project.write(tmp_path, n_episodes=2 if method in SLOW else 20)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    steps = 60 if method == "relation" else 4  # its running statistics need a while
    set_train(mapping, method=method, steps=steps, validate_every=steps // 2)
    mapping["episodes"]["protocols"] = FEW
    params = params_from(mapping)
    train.run(tmp_path, params)
    evaluate.run(tmp_path, params)
    metrics = json.loads((tmp_path / layout.METRICS).read_text())
    options = METHODS[method]
    assert metrics["inference"]["method"] == method
    assert metrics["inference"]["classifier"] == ("method" if options.own_classifier else "prototype")
    assert metrics["inference"]["transductive"] == (not options.fixed_embedding), (
        "by default MAML and its kin are, as in the papers"
    )
    # Four steps teach no memory to bind labels; a guess that is always the same is right in a third.
    assert metrics["accuracy"]["3w2s"]["mean"] > (0.4 if method != "mann" else 0.2)
    assert ("ratio" in metrics["geometry"]) == options.fixed_embedding
    drawn = pd.read_csv(tmp_path / layout.EVALUATION / "projection.csv")
    assert (len(drawn) > 0) == options.fixed_embedding


@pytest.mark.parametrize("classifier", ["simple_shot", "cosine_classifier", "logistic_regression", "laplacian_shot"])
def test_a_transfer_baseline_is_answered_by_the_head_that_is_asked_for(tmp_path, classifier):
    packed_project.write(tmp_path)
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    set_train(mapping, method="transfer", method_arguments={"classifier": "cosine"})
    mapping["evaluate"]["classifier"] = classifier
    params = params_from(mapping)
    train.run(tmp_path, params)
    evaluate.run(tmp_path, params)
    metrics = json.loads((tmp_path / layout.METRICS).read_text())
    assert metrics["inference"]["classifier"] == classifier and metrics["accuracy"]["3w2s"]["mean"] > 0.6
    method = load_method(tmp_path / layout.MODEL)
    images = np.load(tmp_path / layout.PACKED / "images.npy")
    trained_on = np.arange(6 * packed_project.IMAGES)
    torch.testing.assert_close(method.centre, embed(method, images, trained_on).mean(0), atol=1e-4, rtol=1e-4)
