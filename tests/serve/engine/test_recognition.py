"""Answers of the engine, beside those of `kshot.FewShotClassifier`, which evaluates a model in the same way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

import kshot
from kshot.evaluation.inference import Inference, Temperature, inference_of
from kshot.evaluation.mean_distance import distance_name
from kshot.methods.table import METHODS, build_method
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.methods import arguments_of
from kshot.serve.engine import gallery_state as gallery_state_module
from kshot.serve.engine.decoding import SentImage, prepare_image
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.gallery_state import GalleryState, gallery_state
from kshot.serve.engine.recognition import Recognition, recognise, verify
from kshot.serve.engine.served_version import ServedVersion
from kshot.serve.messages.refusals import Refused
from kshot.serve.store.galleries import GalleryRow

CLASSIFIERS = (
    *("prototype", "nearest_neighbour", "simple_shot", "attention", "cosine_classifier", "logistic_regression"),
    *("laplacian_shot", "pt_map"),
)
Classes = dict[str, list[bytes]]


def served(inference: Inference, name: str = "metric", **arguments: object) -> ServedVersion:
    """An untrained model of one method: random projections of letters, which tell many letters apart."""
    torch.manual_seed(0)
    ingest = {"size": 28, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    fewer = {"test_steps": 5} if name == "reptile" else arguments  # instead of 50, which take seconds
    described = {"name": name, "n_way": 5, "k_shot": 1, "arguments": arguments_of(name, fewer)}
    method = build_method(described, Embedding(settings_of(settings))).eval()
    method.centre += torch.randn(method.centre.shape) * 0.01
    inference = replace(inference, distance=distance_name(method, inference.classifier))
    return ServedVersion("kshot", "1", "champion", "k" * 64, kshot.FewShotModel(method, inference))


def by_classifier(classifier: str, thresholds: dict[int, float] | None = None) -> ServedVersion:
    return served(Inference("metric", classifier, "eval", thresholds or {}))


def pixels(version: ServedVersion, images: list[bytes]) -> np.ndarray:
    return np.stack([prepare_image(SentImage(image, "image"), version.model.ingest, 10**6).pixels for image in images])


def state(version: ServedVersion, support: Classes, threshold: float | None = None) -> GalleryState:
    rows = [(name, image) for name, images in support.items() for image in images]
    points = version.model.embed([image for _, image in rows])
    listed = [(number, name, f"{number:064x}") for number, (name, _) in enumerate(rows, 1)]
    return gallery_state(GalleryRow(1, "shop", 2, threshold, ""), listed, points, version.centre, version.distance)


def unequal(classes: Classes, count: int = 4) -> tuple[Classes, list[bytes]]:
    """One to three examples a class, and an image of each class that is none of them."""
    names = list(classes)[:count]
    return {name: classes[name][: 1 + place % 3] for place, name in enumerate(names)}, [
        classes[name][5] for name in names
    ]


@pytest.fixture
def queue() -> Iterator[EmbeddingQueue]:
    made = EmbeddingQueue(8, 5)
    yield made
    made.close()


def check_as_estimator(version: ServedVersion, support: Classes, queries: list[bytes]) -> None:
    images = [image for files in support.values() for image in files]
    labels = [name for name, files in support.items() for _ in files]
    oracle = kshot.FewShotClassifier(version.model).fit(images, labels)
    found = recognise(version, state(version, support), version.model.embed(queries), n_next=len(support))
    assert [one.label for one in found] == oracle.predict(queries).tolist()
    shares = oracle.predict_proba(queries)
    for row, one in enumerate(found):
        by_name = dict(one.classes)
        assert [by_name[name] for name in oracle.classes_] == pytest.approx(shares[row], abs=1e-4)
    if version.has_fixed_embedding:
        place = [list(oracle.classes_).index(one.label) for one in found]
        distances = oracle.distances(queries)[np.arange(len(queries)), place]
        assert [one.distance for one in found] == pytest.approx(distances, rel=1e-4)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_every_classifier_answers_unequal_shots_as_it_was_evaluated(classifier: str, classes: Classes) -> None:
    check_as_estimator(by_classifier(classifier), *unequal(classes))


def test_probabilities_are_calibrated_as_those_of_the_estimator(classes: Classes) -> None:
    fitted = (Temperature(5, 1, 3.0), Temperature(20, 1, 0.5))
    version = served(Inference("metric", "prototype", "eval", temperatures=fitted))
    assert version.calibrated and not by_classifier("prototype").calibrated
    check_as_estimator(version, *unequal(classes))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("metric", "transfer")])
def test_every_method_answers_as_it_was_evaluated(name: str, classes: Classes) -> None:
    version = served(inference_of(name, "method", "eval"), name)
    check_as_estimator(version, *unequal(classes))


@pytest.mark.parametrize(
    ("distance", "of_thresholds"),  # those of an older model are Euclidean distances, whatever its method compares by
    [("cosine", "cosine"), ("cosine", "euclidean"), ("squared_euclidean", "euclidean")],
)
def test_a_learned_scale_is_answered_from_means_that_are_added_up_once_a_revision(
    distance: str, of_thresholds: str, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = Inference("prototypical", "method", "eval", temperatures=(Temperature(5, 1, 0.7),))
    version = served(inference, "prototypical", distance=distance, learn_temperature=True)
    version.model.method.log_scale.data += 0.5
    inference = replace(version.model.inference, distance=of_thresholds)
    version = replace(version, model=kshot.FewShotModel(version.model.method, inference))
    support, queries = unequal(classes)
    check_as_estimator(version, support, queries)
    gallery, points = state(version, support), version.model.embed(queries)
    expected = version._by_classifier(gallery, points)
    assert version.scores(gallery, points, version.squared_distances(gallery, points)) == pytest.approx(
        expected, rel=1e-4, abs=1e-4
    )

    def again(*_: object) -> None:
        raise AssertionError("class means are added up at a request")

    monkeypatch.setattr(gallery_state_module, "class_means", again)
    monkeypatch.setattr(type(version.model.method), "scores", again)
    recognise(version, gallery, points)
    fewer = dict(list(support.items())[:-1])
    with pytest.raises(AssertionError, match="added up"):  # another revision has means of its own
        recognise(version, state(version, fewer), points)


def test_a_point_of_length_zero_is_at_a_cosine_of_0() -> None:
    points = np.array([[0, 0], [3, 4], [-6, -8]], dtype=np.float32)
    rows = [(number, f"{number}", "0" * 64) for number in range(3)]
    gallery = gallery_state(GalleryRow(1, "shop", 1, None, ""), rows, points, np.zeros(2, np.float32), "cosine")
    query = np.array([[4, 3], [0, 0]], dtype=np.float32)
    found = gallery.distances(gallery.mean_index.squared_distances(query))
    assert found == pytest.approx(1 - np.array([[0, 0.96, -0.96], [0, 0, 0]]), abs=1e-6)


@pytest.mark.parametrize("name", list(METHODS))
def test_requests_at_once_give_the_answers_that_they_give_alone(
    name: str, classes: Classes, queue: EmbeddingQueue
) -> None:
    version = served(inference_of(name, "method", "eval"), name)
    few = dict(list(classes.items())[:3])
    galleries = [state(version, {name: files[:k] for name, files in few.items()}) for k in (1, 2)]
    asked = [pixels(version, [files[place] for files in few.values()]) for place in (3, 4, 5)]

    def ask(number: int) -> list[Recognition]:
        points = queue.embed(version.model.method, asked[number % 3])
        return recognise(version, galleries[number % 2], points)

    alone = [ask(number) for number in range(6)]
    before = queue.batches
    with ThreadPoolExecutor(6) as pool:
        for number, together in enumerate(pool.map(ask, list(range(6)) * 2)):
            for one, other in zip(together, alone[number % 6], strict=True):
                assert one.label == other.label
                assert one.probability == pytest.approx(other.probability, abs=1e-4)
    assert queue.batches > before


def test_the_nearest_examples_and_the_next_classes_are_in_order(classes: Classes) -> None:
    version = by_classifier("prototype")
    support, queries = unequal(classes)
    gallery = state(version, support)
    (found,) = recognise(version, gallery, version.model.embed(queries[:1]), n_next=2, n_nearest=5)
    point = version.model.embed(queries[:1])[0].astype(np.float64)
    distances = np.sqrt(np.square(gallery.points - point).sum(1))
    assert [near.id for near in found.nearest] == gallery.ids[np.argsort(distances)[:5]].tolist()
    assert [near.distance for near in found.nearest] == pytest.approx(np.sort(distances)[:5], rel=1e-5)
    shares = [share for _, share in found.classes]
    assert len(shares) == 3 and shares == sorted(shares, reverse=True) and found.classes[0][0] == found.label
    assert found.margin == pytest.approx(shares[0] - shares[1])


@pytest.mark.parametrize("n_nearest", [3, 30])  # 30: more than the search of the class means computes exactly
def test_the_nearest_of_classes_of_one_example_are_those_of_a_slow_search(n_nearest: int, classes: Classes) -> None:
    version = by_classifier("prototype")
    gallery = state(version, {name: images[:1] for name, images in classes.items()})
    assert gallery.one_each
    query = version.model.embed([images[5] for images in classes.values()][:4])
    for one, point in zip(recognise(version, gallery, query, n_nearest=n_nearest), query, strict=True):
        distances = np.sqrt(np.square(gallery.points.astype(np.float64) - point).sum(1))
        order = np.argsort(distances)[:n_nearest]
        assert [near.id for near in one.nearest] == gallery.ids[order].tolist()
        assert [near.distance for near in one.nearest] == pytest.approx(distances[order].tolist(), rel=1e-5)
        assert one.distance == one.smallest == pytest.approx(distances.min(), rel=1e-5)


def test_a_gallery_of_one_class_has_a_distance_and_no_probability(classes: Classes) -> None:
    (name,) = list(classes)[:1]
    version = by_classifier("prototype", {1: 5.0})
    gallery = state(version, {name: classes[name][:1]})
    same, other = recognise(version, gallery, version.model.embed([classes[name][0], classes[list(classes)[9]][0]]))
    assert (same.label, same.probability, same.unknown, same.margin) == (name, None, False, None)
    assert same.distance == pytest.approx(0, abs=1e-3) and other.probability is None
    assert verify(version, gallery, version.model.embed([classes[name][0]]), name).same is True
    without = by_classifier("prototype")
    assert verify(without, gallery, version.model.embed([classes[name][0]]), name).same is None


def test_the_gallery_s_threshold_replaces_the_model_s(classes: Classes) -> None:
    version = by_classifier("prototype", {1: 1e9})
    support, queries = unequal(classes)
    points = version.model.embed(queries[:1])
    (by_model,) = recognise(version, state(version, support), points)
    (by_gallery,) = recognise(version, state(version, support, threshold=1e-6), points)
    assert (by_model.unknown, by_model.threshold) == (False, 1e9)
    assert (by_gallery.unknown, by_gallery.threshold) == (True, 1e-6)
    (without,) = recognise(by_classifier("prototype"), state(version, support), points)
    assert (without.unknown, without.threshold) == (None, None)


def test_an_image_is_verified_by_the_best_class_and_the_threshold(classes: Classes) -> None:
    version = by_classifier("prototype", {1: 1e9})
    support, _ = unequal(classes, 3)
    first, second = list(support)[:2]
    gallery = state(version, support)
    point = version.model.embed([support[first][0]])
    yes, no = verify(version, gallery, point, first), verify(version, gallery, point, second)
    assert (yes.same, yes.best, no.same, no.best) == (True, first, False, first)
    assert {near.class_name for near in no.nearest} == {second}
    assert (
        verify(version, state(version, support, threshold=0.0), version.model.embed([classes[first][4]]), first).same
        is False
    )
    with pytest.raises(Refused, match="has no class 'x'"):
        verify(version, gallery, point, "x")


@pytest.mark.parametrize("threshold", [0.0, 1e9])
def test_an_image_is_of_a_class_only_if_recognition_says_so(classes: Classes, threshold: float) -> None:
    version = by_classifier("simple_shot", {1: 1e9})  # whose best class need not have the nearest mean
    support, _ = unequal(classes, 3)
    gallery = state(version, support, threshold=threshold)
    point = version.model.embed([classes[next(iter(support))][4]])
    (seen,) = recognise(version, gallery, point)
    for name in support:
        found = verify(version, gallery, point, name)
        assert (found.same, found.unknown) == (name == seen.label and not seen.unknown, seen.unknown)


def test_an_empty_gallery_is_refused_with_the_reason() -> None:
    version = by_classifier("prototype")
    empty = gallery_state(GalleryRow(1, "shop", 1, None, ""), [], np.empty((0, 64), np.float32), version.centre)
    with pytest.raises(Refused, match="gallery 'shop' holds no example") as raised:
        recognise(version, empty, np.zeros((1, 64), np.float32))
    assert raised.value.status == 409


def test_a_gallery_too_large_to_adapt_to_is_refused(classes: Classes, monkeypatch: pytest.MonkeyPatch) -> None:
    version = served(inference_of("maml", "method", "eval"), "maml")
    support, queries = unequal(classes)
    monkeypatch.setattr("kshot.serve.engine.served_version.MOST_NUMBERS", 1000)
    with pytest.raises(Refused, match="serve a model with a fixed embedding"):
        recognise(version, state(version, support), version.model.embed(queries))
