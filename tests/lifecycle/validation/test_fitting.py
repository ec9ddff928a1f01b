"""The settings that fit a data set: by hand for small ones; for any data set all checks on counts hold."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.data.splits import choose_by, split_classes
from kshot.lifecycle.validation.checks import tables
from kshot.lifecycle.validation.fitting import ClassSupply, Fit, fit
from kshot.params.schema import Params, params_from
from tests.short_names import set_train

DEFAULTS = yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8"))


def params(**changes: Any) -> Params:
    """The settings as shipped, with `section_key=value` changed."""
    mapping = copy.deepcopy(DEFAULTS)
    for name, value in changes.items():
        section, _, key = name.partition("_")
        if section == "train":
            set_train(mapping, **{key: value})
        else:
            mapping[section][key] = value
    return params_from(mapping)


def supply(*images: int, groups: tuple[str, ...] = ("",)) -> list[ClassSupply]:
    return [ClassSupply(f"c{i:03}", count, groups[i % len(groups)]) for i, count in enumerate(images)]


def protocol(n_way: int, k_shot: int, within_group: bool = False) -> dict[str, Any]:
    return {"n_way": n_way, "k_shot": k_shot, "within_group": within_group}


EIGHT_OF_TWELVE = {
    "split.val": 0.25,
    "train.batch.classes": 4,
    "episodes.n_query": 7,
    "episodes.protocols": {"2w1s": protocol(2, 1), "2w5s": protocol(2, 5)},
    "train.validation.protocol": "2w1s",
    "gate.min_accuracy": {"2w1s": 0.88},  # three quarters of the way from chance, 0.5, to 1, as 0.8 of 5 ways
    "gate.group_protocol": "2w1s",
}

CASES: list[tuple[str, list[ClassSupply], Params, Fit]] = [
    ("the built-in set as shipped", supply(*[20] * 400), params(), Fit({})),
    (
        "eight classes of twelve images",
        supply(*[12] * 8),
        params(),
        Fit({**EIGHT_OF_TWELVE, "train.batch.mine_neighbours": 3}),
    ),
    (
        "a class with one image is left out, the others decide",
        supply(1, *[12] * 8),
        params(),
        Fit(EIGHT_OF_TWELVE, drop=("c000",)),
    ),
    (
        "three images leave two shots and a query",
        supply(*[3] * 100),
        params(train_classes_per_batch=20),
        Fit(
            {
                "train.batch.images": 3,
                "episodes.n_query": 1,
                "episodes.protocols": {
                    "5w1s": protocol(5, 1),
                    "5w2s": protocol(5, 2),
                    "15w1s": protocol(15, 1),
                    "15w2s": protocol(15, 2),
                },
                "train.validation.protocol": "15w1s",
                "gate.min_accuracy": {"5w1s": 0.8, "15w1s": 0.61},
            }
        ),
    ),
    (
        "five classes are too few",
        supply(*[12] * 5),
        params(),
        Fit(
            {},
            obstacle="there are 5 classes of 2 images or more; needs at least 6, to train on, to validate on and to "
            "test on: add classes",
        ),
    ),
]


@pytest.mark.parametrize(
    ("classes", "asked", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_settings_that_fit(classes: list[ClassSupply], asked: Params, expected: Fit) -> None:
    without = {key: value for key, value in expected.settings.items() if key != "train.batch.mine_neighbours"}
    assert fit(classes, asked, "class") == expected._replace(settings=without)


def test_three_groups_of_one_class_are_split_by_class() -> None:
    classes = supply(*[30] * 7, groups=("a", "b", "b", "c", "c", "c", "c"))
    assert fit(classes, params(), "group").settings["split.by"] == "class"


def test_a_table_that_leaves_a_split_with_one_class_is_for_the_person_to_mend() -> None:
    classes = [ClassSupply(f"c{i}", 30, "", "val" if i == 0 else "test" if i < 4 else "train") for i in range(9)]
    found = fit(classes, params(), "table")
    assert found.settings == {} and found.obstacle.startswith("the data's own table gives split 'val' under 2 classes")


def test_a_protocol_within_groups_is_as_wide_as_the_largest_group() -> None:
    asked = params(episodes_protocols={**DEFAULTS["episodes"]["protocols"], "5w1s": protocol(5, 1, True)})
    classes = [ClassSupply(f"{g}{i}", 30, g, s) for g, s in (("a", "val"), ("b", "test")) for i in range(3)]
    classes += [ClassSupply(f"t{i}", 30, "t", "train") for i in range(60)]
    found = fit(classes, asked, "table").settings
    assert found["episodes.protocols"]["3w1s-within"] == protocol(3, 1, True)
    assert found["gate.min_accuracy"] == {"3w1s-within": 0.83, "3w1s": 0.72}
    assert found["gate.group_protocol"] == "3w1s-within"


def test_a_floor_stands_as_far_above_chance_as_before() -> None:
    of_all_ways = {f"{ways}w": protocol(ways, 1) for ways in (10, 5)}
    asked = params(
        episodes_protocols=of_all_ways,
        train_validation_protocol="5w",
        gate_group_protocol="10w",
        gate_min_accuracy={"10w": 0.1, "5w": 1.0},
    )
    found = fit(supply(*[30] * 16), asked, "class").settings
    assert found["gate.min_accuracy"] == {"2w1s": 1.0}
    assert found["gate.group_protocol"] == "2w1s"
    guessing = params(
        episodes_protocols=of_all_ways,
        train_validation_protocol="5w",
        gate_group_protocol="5w",
        gate_min_accuracy={"10w": 0.1, "5w": 0.2},
    )
    assert fit(supply(*[30] * 16), guessing, "class").settings["gate.min_accuracy"] == {"2w1s": 0.5}


def test_protocols_by_drawer_get_no_settings_and_the_reason() -> None:
    drawn = {**protocol(5, 1), "by_drawer": True}
    asked = params(episodes_protocols={**DEFAULTS["episodes"]["protocols"], "5w1s": drawn})
    found = fit(supply(*[12] * 8), asked, "class")
    assert found.settings == {} and found.obstacle.startswith("5w1s has by_drawer: ")


@st.composite
def any_data(draw: st.DrawFn) -> tuple[list[ClassSupply], Params]:
    images = draw(st.lists(st.integers(0, 25), min_size=1, max_size=40))
    groups = draw(st.sampled_from([("",), ("a", "b"), ("a", "b", "c", "d")]))
    asked = params(
        split_rotations=draw(st.sampled_from(["none", "train", "all"])),
        split_seed=draw(st.integers(0, 3)),
        train_method=draw(st.sampled_from(["metric", "prototypical", "mann"])),
        train_images_per_class=draw(st.integers(2, 9)),
    )
    return supply(*images, groups=groups), asked


@settings(max_examples=150, deadline=None)
@given(any_data())
def test_whatever_the_data_the_settings_are_sound_and_every_check_on_counts_holds(
    data: tuple[list[ClassSupply], Params],
) -> None:
    classes, asked = data
    groups = {one.name: one.group for one in classes}
    by = choose_by("auto", groups, dict.fromkeys(groups, ""))
    found = fit(classes, asked, by)
    if found.obstacle:
        assert not found.settings
        assert sum(one.images >= 2 for one in classes) < 6
        return
    mapping = copy.deepcopy(DEFAULTS)
    mapping["split"] |= {"rotations": asked.split.rotations, "seed": asked.split.seed}
    set_train(mapping, method=asked.train.method.name, images_per_class=asked.train.batch.images)
    for key, value in found.settings.items():
        *sections, name = key.split(".")
        section = mapping
        for part in sections:
            section = section[part]
        section[name] = value
    fitting = params_from(mapping)
    kept = [one for one in classes if one.name not in found.drop]
    by = fitting.split.by if fitting.split.by != "auto" else by
    place = split_classes(
        {one.name: one.group for one in kept},
        {one.name: "" for one in kept},
        by=by,
        val=fitting.split.val,
        test=fitting.split.test,
        seed=fitting.split.seed,
    )
    turned = {"none": (), "train": ("train",), "all": ("train", "val", "test")}[fitting.split.rotations]
    rows = [
        {"class": one.name, "group": one.group, "rotation": turn, "split": place[one.name]}
        for one in kept
        for turn in range(4 if place[one.name] in turned else 1)
    ]
    files = [
        {"class": one.name, "content": f"{one.name}/{i}", "path": "x", "width": 9, "height": 9}
        for one in kept
        for i in range(one.images)
    ]
    none = pd.DataFrame({"path": [], "class": [], "reason": []})
    made = tables(pd.DataFrame(files), none, pd.DataFrame(rows), fitting)
    assert (made["classes"]["missing_images"] == 0).all()
    assert (made["splits"]["missing_classes"] == 0).all()
