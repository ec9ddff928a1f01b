import json

import pytest
import torch

from kshot.classifiers.prototype import prototype_scores
from kshot.classifiers.table import CLASSIFIERS
from kshot.evaluation import own_predictions
from kshot.evaluation.inference import (
    Inference,
    Temperature,
    classifier_for,
    inference_method,
    inference_of,
    load_inference,
    save_inference,
)
from kshot.methods.maml import InnerLoop, Maml
from kshot.methods.matching import Matching
from kshot.methods.metric import Metric
from kshot.methods.relation import Relation
from kshot.methods.siamese import Siamese
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from tests.methods.toy import Tiny, images


def episodes(method, count=4):
    pixels, _ = images(12, 5)
    points = method.embed(pixels).detach().reshape(count, 3, 5, -1)
    return points[:, :, :1].flatten(1, 2), torch.arange(3), points[:, :, 1:].flatten(1, 2), 3


@pytest.mark.parametrize("make", [
    lambda e: Siamese(e, 3, 1), lambda e: Relation(e, 3, 1, channels=3),
    lambda e: Maml(e, 3, 1, InnerLoop(steps=2, test_steps=2, rate=0.1)),
])  # fmt: skip
def test_a_method_answers_part_by_part_as_it_would_at_once_and_remembers_no_graph(monkeypatch, make):
    method = make(Tiny()).eval()
    asked = episodes(method)
    wanted = method.scores(*asked)
    sizes = []
    original = method.scores
    method.scores = lambda *some: (sizes.append(len(some[0])), original(*some))[1]
    a_query = 12 if method.separate_queries else 1
    for limit, expected in ((2**26, [4]), (1, [1] * 4 * a_query)):
        monkeypatch.setattr(own_predictions, "NUMBERS_AT_ONCE", limit)
        sizes.clear()
        found = classifier_for(method, "method")(*asked)
        assert sizes == expected and not found.requires_grad
        torch.testing.assert_close(found, wanted.detach())


@pytest.mark.parametrize("make", [
    lambda e: Siamese(e, 3, 1), lambda e: Relation(e, 3, 1, channels=3), lambda e: Matching(e, 3, 1, full_context=True),
])  # fmt: skip
def test_a_large_episode_is_scored_within_the_limit_and_as_a_whole(monkeypatch, make):
    method = make(Tiny()).eval()
    support, labels, query, n_way = episodes(method)
    wanted = method.scores(support, labels, query, n_way).detach()
    limit = method.footprint(support.shape[1], query.shape[1], n_way) // 3
    monkeypatch.setattr(own_predictions, "NUMBERS_AT_ONCE", limit)
    held = []
    original = method.scores
    method.scores = lambda *some: (held.append(some[2].shape[1]), original(*some))[1]
    found = classifier_for(method, "method")(support, labels, query, n_way)
    assert sum(held) == 4 * 12 and max(held) <= 4
    torch.testing.assert_close(found, wanted)
    assert torch.equal(found.argmax(-1), wanted.argmax(-1))


def test_a_head_answers_whatever_the_method_and_prototypes_where_it_has_no_answer_of_its_own():
    assert classifier_for(Siamese(Tiny(), 3, 1), "attention") is CLASSIFIERS["attention"]
    assert classifier_for(Metric(Tiny(), 3, 1), "method") is prototype_scores
    assert inference_of("metric", "method", "eval").by == "prototype"
    assert inference_of("siamese", "method", "eval").by == "siamese"


def test_simple_shot_is_centred_where_the_method_was_trained():
    method = Metric(Tiny(), 3, 1)
    support, labels, query, n_way = episodes(method)
    method.centre.copy_(support.mean((0, 1)))
    centred = [torch.nn.functional.normalize(part - method.centre, dim=-1) for part in (support, query)]
    found = classifier_for(method, "simple_shot")(support, labels, query, n_way)
    torch.testing.assert_close(found, prototype_scores(centred[0], labels, centred[1], n_way))


def test_what_is_transductive_says_so():
    assert Inference("maml", "method", "transductive").by == "maml, transductive"
    assert not Inference("maml", "method", "support").transductive
    assert Inference("metric", "pt_map", "eval").by == "pt_map, transductive"


def test_the_threshold_is_that_of_the_nearest_number_of_shots(tmp_path):
    kept = Inference("metric", "prototype", "eval", {1: 3.0, 5: 2.0})
    save_inference(kept, tmp_path)
    found = load_inference(tmp_path)
    assert found == kept
    assert [found.threshold(shots) for shots in (1, 2.5, 3, 3.5, 20)] == [3.0, 3.0, 3.0, 2.0, 2.0]
    assert Inference("metric", "prototype", "eval").threshold(1) is None


def test_the_views_that_a_model_was_measured_with_are_kept_and_taken_again(tmp_path):
    kept = inference_of("metric", "simple_shot", "eval", 5)
    assert kept.by == "simple_shot, 5 views"
    save_inference(kept, tmp_path)
    assert load_inference(tmp_path) == kept
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    known = settings_of({**settings, "ingest": {"size": 16, "channels": 1, "invert": False}})
    embedding = Embedding(known, views=5).eval()
    save_embedding(embedding, tmp_path)
    pixels = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    found = inference_method(tmp_path, kept)
    torch.testing.assert_close(found(pixels), embedding(pixels))


def test_a_model_stored_under_the_earlier_names_predicts_as_before(tmp_path):
    (tmp_path / "answering.json").write_text(
        json.dumps(
            {"method": "proto_maml", "head": "method", "batch_norm": "support", "thresholds": {"1": 2.5}, "views": 2}
            | {"temperatures": [{"n_way": 5, "k_shot": 1, "value": 2.0}], "transductive": False}
        )
    )
    assert load_inference(tmp_path) == Inference(
        "proto_maml", "method", "support", {1: 2.5}, 2, temperatures=(Temperature(5, 1, 2.0),)
    )
    save_inference(Inference("metric", "prototype", "eval"), tmp_path)
    assert load_inference(tmp_path).classifier == "prototype"


def test_a_model_without_settings_predicts_by_prototypes(tmp_path):
    assert load_inference(tmp_path) == Inference("metric", "prototype", "eval")


def test_the_nearest_protocol_across_groups_gives_the_temperature_and_one_within_a_group_only_without_others():
    within, across = Temperature(2, 1, 9.0, within_group=True), [Temperature(5, 1, 2.0), Temperature(5, 5, 3.0)]
    found = Inference("metric", "prototype", "eval", temperatures=(within, *across))
    assert (found.temperature(2, 1), found.temperature(4, 6)) == (2.0, 3.0)
    assert Inference("metric", "prototype", "eval", temperatures=(within,)).temperature(2, 1) == 9.0


def test_whether_a_temperature_is_of_one_group_is_stored(tmp_path):
    stored = Inference(
        "metric", "prototype", "eval", temperatures=(Temperature(2, 1, 9.0, True), Temperature(5, 1, 2.0))
    )
    save_inference(stored, tmp_path)
    assert load_inference(tmp_path) == stored
