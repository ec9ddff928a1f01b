from dataclasses import replace

import pytest
import torch

from kshot.classifiers import OWN, SIMPLE_SHOT
from kshot.evaluation.inference import Inference, classifier_for, load_inference, save_inference
from kshot.evaluation.mean_distance import distance_name, mean_distance
from kshot.methods.table import build_method
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.methods import arguments_of
from kshot.prototypes import prototypes

OWN_BY = [
    ("prototypical", {"distance": "cosine"}, "cosine"),
    ("prototypical", {}, "euclidean"),
    ("matching", {}, "cosine"),
]


def method_of(name="metric", arguments=None):
    torch.manual_seed(0)
    ingest = {"size": 28, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    described = {"name": name, "n_way": 5, "k_shot": 1, "arguments": arguments_of(name, arguments or {})}
    method = build_method(described, Embedding(settings_of(settings))).eval()
    method.centre += torch.rand(method.centre.shape)
    return method


@pytest.mark.parametrize(
    ("method", "classifier"),
    [
        *((method_of(), name) for name in ("prototype", "nearest_neighbour", "attention", SIMPLE_SHOT)),
        *((method_of(name, arguments), OWN) for name, arguments, _ in OWN_BY),
    ],
)
def test_the_prediction_with_one_image_a_class_is_the_class_at_the_smallest_distance(method, classifier):
    random = torch.Generator().manual_seed(1)
    # Far from the origin and of very different lengths: each distance then prefers other classes.
    support, query = (
        (torch.rand(1, n, method.dim, generator=random) + 0.5) * torch.logspace(0, 0.5, n)[None, :, None]
        for n in (5, 40)
    )
    labels = torch.arange(5)
    between = mean_distance(method, distance_name(method, classifier))
    nearest = between(query[0], prototypes(support, labels, 5)[0]).argmin(-1)
    assert len(nearest.unique()) > 1
    assert nearest.tolist() == classifier_for(method, classifier)(support, labels, query, 5)[0].argmax(-1).tolist()


@pytest.mark.parametrize(("name", "arguments", "by"), OWN_BY)
def test_a_method_s_own_classifier_decides_by_its_own_distance(name, arguments, by):
    assert distance_name(method_of(name, arguments), OWN) == by


def test_a_plug_in_says_by_which_distance_its_classifier_compares(monkeypatch):
    def classify(support, labels, query, n_way): ...

    monkeypatch.setattr("kshot.evaluation.mean_distance.plugin_classifier", lambda name: (None, classify))
    assert distance_name(method_of(), "other") == "euclidean"
    classify.mean_distance = "cosine"
    assert distance_name(method_of(), "other") == "cosine"


def test_the_distance_is_saved_and_older_models_compare_by_euclidean_distance(tmp_path):
    inference = Inference("matching", OWN, "eval", {1: 0.5}, distance="cosine")
    save_inference(inference, tmp_path)
    assert load_inference(tmp_path) == inference
    text = (tmp_path / "inference.json").read_text().replace('"distance": "cosine",', "")
    (tmp_path / "inference.json").write_text(text)
    assert load_inference(tmp_path) == replace(inference, distance="euclidean")
