"""Accuracy on drawn episodes: equal to the pipeline's own evaluation, and reproducible from a seed."""

import numpy as np
import pytest

import kshot
from kshot.data.episodes import draw_episodes
from kshot.errors import DataError, ParamsError
from kshot.estimator import episode_accuracy
from kshot.estimator.episode_accuracy import members_of
from kshot.estimator.image_arrays import prepared
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.inference import Inference
from kshot.params.sections.episodes import Protocol
from kshot.statistics import Interval, mean_interval
from tests.estimator.labelled import labelled
from tests.estimator.test_few_shot_classifier import untrained


def images_of(held_out) -> tuple[list, list]:
    few = labelled(held_out, shots=0)
    return few.queries, few.truth


def test_the_interval_is_that_of_the_same_episodes_by_hand(model, held_out) -> None:
    images, labels = images_of(held_out)
    found = kshot.evaluate(model, images, labels, n_way=3, k_shot=2, n_query=4, n_episodes=50, seed=3)
    pixels = np.stack([prepared([path], model.ingest)[0] for path in images])
    names = sorted(set(labels))
    members = [np.array([i for i, label in enumerate(labels) if label == name]) for name in names]
    episodes = draw_episodes(
        members,
        [""] * len(names),
        np.arange(len(names)),
        Protocol(3, 2, within_group=False),
        n_query=4,
        n_episodes=50,
        generator=np.random.default_rng(3),
    )
    points = embed_once(model.method, pixels, episodes.support, episodes.query)
    assert found == mean_interval(accuracies(predict_episodes(points, episodes)))
    assert isinstance(found, Interval) and 1 / 3 < found.low < found.mean < found.high <= 1


def test_the_seed_draws_the_episodes(model, held_out) -> None:
    images, labels = images_of(held_out)
    first, again, other = (kshot.evaluate(model, images, labels, n_way=3, n_episodes=30, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_a_classifier_is_evaluated_by_its_own_way_to_classify(model, held_out) -> None:
    images, labels = images_of(held_out)
    by = {
        name: kshot.evaluate(kshot.FewShotClassifier(model, name), images, labels, n_way=4, k_shot=3, n_episodes=40)
        for name in (None, "prototype", "nearest_neighbour")
    }
    assert by[None] == by["prototype"] == kshot.evaluate(model, images, labels, n_way=4, k_shot=3, n_episodes=40)
    assert by["nearest_neighbour"] != by["prototype"]


def test_equal_images_of_a_class_count_once() -> None:
    members = members_of(["x", "x", "y", "x", "x"], np.array(["b", "b", "b", "a", "a"]))
    assert {name: ids.tolist() for name, ids in members.items()} == {"a": [3], "b": [0, 2]}


def test_models_that_prepare_images_differently_answer_the_same_episodes(tmp_path, monkeypatch) -> None:
    grey = np.random.default_rng(0).integers(40, 200, (36, 28, 28), np.uint8)
    images = [np.stack([one, one, one], -1) for one in grey]
    for place in range(0, 36, 3):  # another colour, in grey the same to rounding
        images[place + 1] = images[place] + np.array([2, 0, 251], np.uint8)
    drawn = []
    monkeypatch.setattr(episode_accuracy, "embed_once", lambda *given: drawn.append(given[2:]) or embed_once(*given))
    for channels in (1, 3):
        ingest = {"size": 28, "channels": channels, "invert": True}
        found = untrained(tmp_path / str(channels), Inference("metric", "prototype", "eval"), **ingest)
        kshot.evaluate(found, images, np.repeat(list("abc"), 12), n_way=3, n_episodes=10)
    assert all(np.array_equal(one, other) for one, other in zip(*drawn, strict=True))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_way": 50}, DataError, r"n_way is 50, and the images are of \d+ classes; needs \d+ at most"),
        ({"n_way": 1}, ParamsError, "n_way is 1; needs at least 2"),
        ({"k_shot": 0}, ParamsError, "k_shot is 0; needs at least 1"),
        ({"n_way": 2.0}, ParamsError, "n_way is 2.0; needs a whole number of at least 2"),
        ({"k_shot": 1.0}, ParamsError, "k_shot is 1.0; needs a whole number"),
        ({"n_query": 1.5}, ParamsError, "n_query is 1.5; needs a whole number"),
        ({"n_episodes": "9"}, ParamsError, "n_episodes is '9'; needs a whole number"),
        ({"seed": -1}, ParamsError, "seed is -1; needs at least 0"),
        ({"n_query": 0}, ParamsError, "n_query is 0; needs at least 1"),
        ({"k_shot": 6}, DataError, "has 6 different images; k_shot 6 and 1 queries need 7: lower them"),
        ({"n_query": 6}, DataError, "has 6 different images; k_shot 1 and 6 queries need 7: lower them"),
    ],
)
def test_numbers_that_do_not_fit_are_told_in_one_line(model, held_out, arguments, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        kshot.evaluate(model, *images_of(held_out), **arguments)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_is_told(held_out) -> None:
    with pytest.raises(ParamsError, match="model is str; needs what kshot.load or kshot.train returns"):
        kshot.evaluate("model/", *images_of(held_out))  # type: ignore[arg-type]
