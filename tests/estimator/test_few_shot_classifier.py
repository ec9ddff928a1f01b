"""The classifier predicts like the served model, and follows scikit-learn's conventions."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import kshot
from kshot.errors import CheckpointError, DataError, ParamsError
from kshot.evaluation.inference import Inference, save_inference
from kshot.lifecycle.serving import served_model
from kshot.methods.saving import save_method
from kshot.methods.table import build_method
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.methods import arguments_of
from tests.estimator.labelled import labelled


def untrained(folder: Path, inference: Inference, **ingest: Any) -> kshot.FewShotModel:
    """A new model in `folder` that answers as `inference` says."""
    torch.manual_seed(0)
    described = {"name": inference.method, "n_way": 5, "k_shot": 1, "arguments": arguments_of(inference.method, {})}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "method": described, "ingest": ingest}
    save_method(build_method(described, Embedding(settings_of(settings))).eval(), folder)
    save_inference(inference, folder)
    return kshot.load(folder, device="cpu")


def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> served_model.FewShot:
    monkeypatch.setattr(served_model, "own_difference", lambda folder: [])  # it is no registered version
    found = served_model.FewShot()
    found.load_context(SimpleNamespace(artifacts={"embedding": str(folder)}))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("kind", ["trained", "colour, cropped", "nearest neighbour", "five views", "maml", "mann"])
def test_predictions_are_those_of_the_served_model(model, held_out, tmp_path, monkeypatch, kind) -> None:
    grey = {"size": 28, "channels": 1, "invert": True}
    made = {
        "trained": lambda: model.save(tmp_path),
        "colour, cropped": lambda: untrained(
            tmp_path, Inference("metric", "prototype", "eval", {1: 1.0}), size=32, channels=3, invert=False, crop="ink"
        ),
        "nearest neighbour": lambda: untrained(tmp_path, Inference("metric", "nearest_neighbour", "eval"), **grey),
        "five views": lambda: untrained(tmp_path, Inference("metric", "prototype", "eval", views=5), **grey),
        "maml": lambda: untrained(tmp_path, Inference("maml", "method", "transductive"), **grey),
        "mann": lambda: untrained(tmp_path, Inference("mann", "method", "eval"), **grey),
    }
    made[kind]()
    few = labelled(dict(list(held_out.items())[:4]))
    images = [path.read_bytes() for path in (*few.support, *few.queries)]
    labels = pd.Series([*few.labels, *[None] * len(few.queries)], dtype=object)
    expected = served(tmp_path, monkeypatch).predict(None, pd.DataFrame({"image": images, "label": labels}))
    classifier = kshot.load(tmp_path, device="cpu").fit(few.support, few.labels)
    assert classifier.predict(few.queries).tolist() == expected["label"].tolist()
    shares = classifier.predict_proba(few.queries)
    assert np.allclose(shares.max(1), expected["score"], atol=1e-4)
    assert np.allclose(shares.sum(1), 1, atol=1e-5)
    if "unknown" in expected:
        assert classifier.is_unknown(few.queries).tolist() == expected["unknown"].tolist()
        assert np.allclose(classifier.distances(few.queries).min(1), expected["distance"], rtol=1e-3)


def test_fit_returns_a_new_value_and_the_model_stays_unfitted(model, held_out) -> None:
    names = list(held_out)
    first = labelled({name: held_out[name] for name in names[:2]})
    second = labelled({name: held_out[name] for name in names[2:5]})
    one = model.fit(first.support, first.labels)
    other = model.fit(second.support, second.labels)
    assert one.classes_.tolist() == names[:2] and other.classes_.tolist() == names[2:5]
    assert set(one.predict(second.queries)) <= set(names[:2])
    with pytest.raises(AttributeError, match="not fitted: classifier = model.fit.*kshot.FewShotClassifier"):
        model.predict(first.queries)
    with pytest.raises(NotFittedError):
        kshot.FewShotClassifier(model).predict(first.queries)


def test_labels_keep_their_kind_and_order(model, held_out) -> None:
    few = labelled(held_out)
    numbers = [100 - list(held_out).index(name) for name in few.labels]
    classifier = model.fit(few.support, numbers)
    assert classifier.classes_.tolist() == sorted(set(numbers))
    assert classifier.predict(few.queries).dtype.kind == "i"
    truth = [100 - list(held_out).index(name) for name in few.truth]
    assert classifier.score(few.queries, truth) == model.fit(few.support, few.labels).score(few.queries, few.truth)
    assert classifier.score(few.queries, truth) > 0.5


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, torch.tensor])
def test_whole_numbers_of_every_kind_stay_whole(model, held_out, kind) -> None:
    images = next(iter(held_out.values()))[:4]
    assert model.fit(images, kind([5, 3, 5, 3])).classes_.tolist() == [3, 5]


def test_hashes_of_64_bits_stay_classes_of_their_own(model, held_out) -> None:
    images = next(iter(held_out.values()))[:3]
    classes = model.fit(images, [2**63 + 5, 2**62 + 1, 2**62 + 2]).classes_
    assert classes.tolist() == [2**62 + 1, 2**62 + 2, 2**63 + 5] and classes.dtype == np.uint64


def test_a_fit_that_fails_leaves_the_earlier_one(model, held_out) -> None:
    few = labelled(held_out)
    classifier = kshot.FewShotClassifier(model)
    with pytest.raises(DataError, match="cannot be read"):
        classifier.fit(["missing.png"] * 2, ["x", "y"])
    with pytest.raises(NotFittedError):
        classifier.predict(few.queries)
    before = classifier.fit(few.support, few.labels).predict(few.queries)
    with pytest.raises(DataError, match="cannot be read"):
        classifier.fit(["missing.png"] * len(few.labels), [f"new {label}" for label in few.labels])
    assert np.array_equal(classifier.predict(few.queries), before)


def test_scikit_learn_clones_searches_and_validates(model, held_out) -> None:
    few = labelled(held_out, shots=0)
    classifier = kshot.FewShotClassifier(model, classifier="nearest_neighbour")
    assert is_classifier(classifier)
    copy = clone(classifier)
    assert copy is not classifier and copy.get_params() == classifier.get_params()
    assert copy.model is model  # the network is shared: it never changes
    assert cross_val_score(classifier, few.queries, few.truth, cv=3).mean() > 0.5
    searched = GridSearchCV(classifier, {"classifier": ["prototype", "simple_shot", None]}, cv=2)
    assert searched.fit(few.queries, few.truth).best_estimator_.score(few.queries, few.truth) > 0.5


def test_a_pipeline_ends_in_the_classifier_or_begins_with_the_model(model, held_out) -> None:
    few = labelled(held_out)
    ends = clone(make_pipeline(kshot.FewShotClassifier(model))).fit(few.support, few.labels)
    assert ends.predict(few.queries).tolist() == model.fit(few.support, few.labels).predict(few.queries).tolist()
    begins = clone(make_pipeline(model, LogisticRegression())).fit(few.support, few.labels)
    assert begins.score(few.queries, few.truth) > 0.5


def test_most_images_of_other_kinds_are_unknown(model, held_out) -> None:
    few = labelled(held_out)
    classifier = model.fit(few.support, few.labels)
    noise = np.random.default_rng(0).integers(0, 256, (20, 40, 40, 1)).astype(np.uint8)
    assert classifier.is_unknown(few.queries).mean() < 0.5 < classifier.is_unknown(noise).mean()


def test_without_a_threshold_is_unknown_says_so(tmp_path, held_out) -> None:
    few = labelled(held_out)
    bare = untrained(tmp_path, Inference("metric", "prototype", "eval"), size=28, channels=1, invert=True)
    with pytest.raises(DataError, match="the model stores no threshold for unknown images; needs a model"):
        bare.fit(few.support, few.labels).is_unknown(few.queries)


def test_a_method_without_an_embedding_transforms_nothing(tmp_path, held_out) -> None:
    few = labelled(held_out)
    maml = untrained(tmp_path, Inference("maml", "method", "transductive"), size=28, channels=1, invert=True)
    with pytest.raises(DataError, match="trained by maml, which adapts to each episode and has no fixed embedding"):
        maml.transform(few.queries)
    with pytest.raises(ParamsError, match="classifier is prototype; maml has no fixed embedding"):
        kshot.FewShotClassifier(maml, classifier="prototype").fit(few.support, few.labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 4, "labels names one class, 'a'; needs two or more"),
        (["a", "b", "a"], "there are 3 labels for 4 images; needs one label an image"),
        (["a", "b", "a", "b", "c"], r"so that labels\[4\] \('c'\) has no support image"),
        (["a", None, "a", "b"], r"labels\[1\] is None; a support image needs a label"),
        (["a", 1, "a", "b"], "labels are of type int, str; needs text, or whole numbers"),
        ("abcd", "labels is the text 'abcd'"),
        (np.eye(4), r"labels\[0\] is a ndarray of shape \(4,\); needs one label an image: labels.argmax\(1\)"),
        ([["a"], ["b"], ["a"], ["b"]], r"labels\[0\] is a list; needs one label an image"),
        (pd.Series(["a", pd.NA, "a", "b"]), r"labels\[1\] is (<NA>|nan); a support image needs a label"),
        ([pd.NA, "b", "a", "b"], r"labels\[0\] is <NA>; a support image needs a label"),
        ([2**53 + 1, 2**53, 0.5, 1], r"labels\[0\] is 9007199254740993, which becomes, with the others, 9007"),
        ([2**63 + 1, 2**63, -1, 1], r"labels\[0\] is 9223372036854775809, which becomes, with the others, 9\.2"),
        (["a", b"a", "b", "b"], r"labels\[1\] is b'a', which becomes, with the others, 'a'"),
        (["a", "a\0", "b", "b"], r"labels\[1\] is 'a\\x00', which becomes, with the others, 'a'"),
    ],
)
def test_labels_that_do_not_fit_are_told_in_one_line(model, held_out, labels, message) -> None:
    images = next(iter(held_out.values()))[:4]
    with pytest.raises(DataError, match=message) as caught:
        model.fit(images, labels)
    assert "\n" not in str(caught.value)


def test_an_unknown_classifier_is_told_with_the_nearest_name(model, held_out) -> None:
    few = labelled(held_out)
    with pytest.raises(ParamsError, match=r"classifier is 'prototyp'; .* did you mean prototype\?"):
        kshot.FewShotClassifier(model, classifier="prototyp").fit(few.support, few.labels)


def test_a_transductive_classifier_takes_all_queries_together(model, held_out) -> None:
    few = labelled(held_out)
    classifier = kshot.FewShotClassifier(model, classifier="laplacian_shot").fit(few.support, few.labels)
    together = classifier.predict_proba(few.queries)
    assert together.shape == (len(few.queries), len(held_out))
    assert not np.allclose(together[:4], classifier.predict_proba(few.queries[:4]))
    with pytest.raises(DataError, match="classifier laplacian_shot cannot classify these images: .* needs 3 or more"):
        classifier.predict(few.queries[:2])


def test_a_saved_classifier_of_a_model_says_how_it_answers(model, tmp_path) -> None:
    model.save(tmp_path)
    assert json.loads((tmp_path / "inference.json").read_text())["classifier"] == "prototype"
    assert repr(model) == "FewShotModel(conv4, trained by triplet loss, 28 x 28 grey, predicts by prototype)"


def test_a_model_is_saved_in_no_file(model, tmp_path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(CheckpointError, match=r"cannot be saved in .* \(.*\); needs a folder that can be written"):
            model.save(place)
