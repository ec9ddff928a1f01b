"""`auto` becomes what the classes of the data version can fill; named protocols that are gone stop with a line."""

from typing import Any

import pytest

from kshot.data.class_supply import ClassSupply
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.settings_fit.resolved import not_evaluated, resolved, written
from kshot.params.schema import Params
from tests.lifecycle.raw_project import settings

AUTO: dict[str, dict[str, Any]] = {
    "episodes": {"protocols": "auto", "n_query": "auto"},
    "train": {"validation_protocol": "auto"},
    "gate": {"min_accuracy": "auto", "group_protocol": "auto"},
}


def params(**changes: dict[str, Any]) -> Params:
    return settings(**{name: {**AUTO[name], **changes.get(name, {})} for name in AUTO})


def at(found: Params, of_each: int, images: int = 40) -> Params:
    """`found` resolved for that many classes in each of val and test."""
    classes = [ClassSupply(f"c{i}", images) for i in range(3 * of_each)]
    place = {one.name: ("train", "val", "test")[i % 3] for i, one in enumerate(classes)}
    return resolved(found, classes, place)


@pytest.mark.parametrize(
    ("of_each", "images", "protocols", "n_query", "floor"),
    [
        (3, 12, ["3w1s", "3w5s"], 7, {"3w1s": 0.47}),
        (5, 40, ["5w1s", "5w5s"], 15, {"5w1s": 0.36}),
        (20, 3, ["5w1s", "10w1s", "20w1s"], 2, {"5w1s": 0.36}),
    ],
)
def test_auto_grows_with_the_data(
    of_each: int, images: int, protocols: list[str], n_query: int, floor: dict[str, float]
) -> None:
    found = at(params(), of_each, images)
    assert found.is_resolved and not params().is_resolved
    assert written(found)["n_query"] == n_query and list(written(found)["protocols"]) == protocols
    assert found.gate.floors == floor and found.gate.group_protocol in protocols
    assert found.train.validation.protocol == max(protocols, key=lambda name: (name.endswith("1s"), len(name), name))


@pytest.mark.parametrize(
    ("of_each", "changes", "classes", "neighbours"),
    [
        (3, {}, 3, 2),
        (100, {}, 60, 3),
        (100, {"pretrained": True}, 16, 3),
        (20, {"pretrained": True, "splits": ["train", "val"], "patience": 0}, 16, 3),
        (2, {"splits": ["train", "val"], "patience": 0}, 4, 3),
    ],
)
def test_an_automatic_batch_has_the_training_classes_up_to_a_limit(
    of_each: int, changes: dict[str, Any], classes: int, neighbours: int
) -> None:
    found = at(params(train={"classes_per_batch": "auto", **changes}), of_each).train.batch
    assert (found.classes, found.mine_neighbours) == (classes, neighbours)


def test_an_automatic_batch_alone_is_resolved_and_leaves_the_episodes_as_they_are() -> None:
    asked = settings(train={"classes_per_batch": "auto"})
    assert not asked.is_resolved and asked.has_fixed_episodes
    found = at(asked, 5)
    assert found.train.batch.classes == 5 and found.is_resolved and found.episodes == asked.episodes


def test_a_rotation_is_a_class_of_a_batch() -> None:
    asked = settings(train={"classes_per_batch": "auto"}, split={"rotations": "train"})
    assert at(asked, 5).train.batch.classes == 20


def test_a_batch_of_one_class_is_refused() -> None:
    with pytest.raises(ParamsError, match="batch.classes is auto, and 1 of the training classes has two images"):
        at(settings(train={"classes_per_batch": "auto"}), 1)


def test_classes_that_fill_no_episode_stop_with_the_command_that_fits_the_settings() -> None:
    with pytest.raises(DataError, match="fewer than two classes .*: kshot fit-settings --yes$"):
        at(params(), 1)


def test_settings_without_auto_stay_as_they_are() -> None:
    asked = settings()
    assert at(asked, 2) is asked


def test_queries_of_chosen_protocols_and_protocols_of_chosen_queries() -> None:
    asked = params(episodes={"protocols": {"4w5s": {"n_way": 4, "k_shot": 5, "within_group": False}}})
    found = at(asked, 6, 12)
    assert found.episodes.n_query == 7 and found.train.validation.protocol == "4w5s"
    assert found.gate.floors == {"4w5s": 0.4}
    assert list(at(params(episodes={"n_query": 11}), 6, 12).episodes.by_name) == ["5w1s"]


def test_a_memory_network_is_asked_no_more_classes_than_it_has_labels() -> None:
    found = at(params(train={"method": "mann", "classes_per_batch": 8, "n_way": 4}), 12)
    assert list(found.episodes.by_name) == ["4w1s", "4w5s"]


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("gate", {"min_accuracy": {"20w1s": 0.5}}, r"min_accuracy names 20w1s; the classes .* fill 5w1s, 5w5s"),
        ("gate", {"group_protocol": "20w1s"}, r"gate.group_protocol is 20w1s; .* set gate.group_protocol: auto"),
        ("train", {"validation_protocol": "20w1s"}, r"train.validation.protocol is 20w1s; .* fill 5w1s, 5w5s"),
    ],
)
def test_a_named_protocol_that_cannot_be_filled_stops(section: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        at(params(**{section: changes}), 6)


def test_of_several_floors_those_that_can_be_asked_rule_and_the_others_are_noted() -> None:
    asked = params(gate={"min_accuracy": {"5w1s": 0.8, "20w1s": 0.6}})
    few, many = at(asked, 6), at(asked, 20)
    assert few.gate.floors == {"5w1s": 0.8} and many.gate.floors == {"5w1s": 0.8, "20w1s": 0.6}
    assert not_evaluated(asked, many) == []
    assert not_evaluated(asked, few) == [
        "gate.min_accuracy names 20w1s: not evaluated, the classes of this data version cannot fill it"
    ]
