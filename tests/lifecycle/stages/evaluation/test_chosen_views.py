"""`evaluate.views: auto`: measured on validation episodes, recorded, and served."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kshot.evaluation.inference import load_inference
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import evaluate, train
from kshot.lifecycle.stages.evaluation.chosen_views import hardest
from kshot.params.schema import params_from
from tests.lifecycle import packed_project
from tests.short_names import set_train

DEFAULTS = Path(__file__).parents[4] / "params.yaml"


def params(**changes):
    mapping = yaml.safe_load(packed_project.params(DEFAULTS.read_text()))
    mapping["evaluate"]["views"] = "auto"
    set_train(mapping, steps=4, validate_every=2, **changes)
    return params_from(mapping)


def half_turned(root: Path, seed: int) -> None:
    """Exchange left and right of every second image, and add noise: only with the mirror image are they alike."""
    images = np.load(root / layout.PACKED / "images.npy")
    images[1::2] = images[1::2, :, ::-1]
    noise = np.random.default_rng(seed).normal(0, 60, images.shape)
    np.save(root / layout.PACKED / "images.npy", np.clip(images + noise, 0, 255).astype(np.uint8))


def test_the_mirror_image_is_taken_where_it_helps_on_validation_classes(tmp_path, capsys):
    packed_project.write(tmp_path)
    half_turned(tmp_path, 0)
    train.run(tmp_path, params())
    evaluate.run(tmp_path, params())
    metrics = json.loads((tmp_path / layout.METRICS).read_text())
    found = metrics["views"]
    assert (found["chosen"], found["protocol"], found["episodes"]) == (2, "3w1s", 20)
    assert found["mirrored"] - found["one"] == pytest.approx(found["mean"], abs=1e-6) and found["low"] > 0
    assert metrics["inference"]["views"] == load_inference(tmp_path / layout.EVALUATION).views == 2
    assert metrics["inference"]["by"].endswith("2 views")
    assert (
        "evaluate.views: auto is 2: the mirror image changes 3w1s on validation classes by +" in capsys.readouterr().out
    )


def test_one_view_is_kept_where_the_mirror_image_does_not_help(tmp_path, capsys):
    packed_project.write(tmp_path)
    train.run(tmp_path, params())
    evaluate.run(tmp_path, params())
    metrics = json.loads((tmp_path / layout.METRICS).read_text())
    assert metrics["views"]["chosen"] == metrics["inference"]["views"] == 1
    assert metrics["views"]["low"] <= 0 or metrics["views"]["mean"] < 0.005
    assert "auto is 1: the mirror image changes" in capsys.readouterr().out


def test_where_the_validation_classes_were_trained_on_nothing_is_measured(tmp_path, capsys):
    packed_project.write(tmp_path)
    settings = params(splits=["train", "val"], patience=0)
    train.run(tmp_path, settings)
    evaluate.run(tmp_path, settings)
    assert json.loads((tmp_path / layout.METRICS).read_text())["views"] == {"chosen": 1}
    assert "auto is 1, as the validation classes are trained on" in capsys.readouterr().out


def test_the_hardest_protocol_has_the_fewest_shots_and_the_most_classes(tmp_path):
    packed_project.write(tmp_path)
    assert hardest(tmp_path, ["3w2s", "3w1s"]) == "3w1s"
