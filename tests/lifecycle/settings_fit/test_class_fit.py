"""The settings of classes that fit a data set: by hand for small ones; for any data set all checks on counts hold."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.data.class_supply import ClassSupply
from kshot.data.splits import choose_by, split_classes
from kshot.lifecycle.settings_fit.class_fit import class_fit
from kshot.lifecycle.settings_fit.resolved import resolved
from kshot.lifecycle.validation.checked_tables import tables
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


def test_what_fits_stays() -> None:
    assert class_fit(supply(*[20] * 400), params(), "class").settings == {}
    found = class_fit(supply(*[40] * 160), params(train_classes_per_batch=99), "class").settings
    assert found == {"train.batch.classes": 96}  # the protocols and the split can be filled


def test_eight_classes_of_twelve_images_get_the_rules_of_fit_settings() -> None:
    found = class_fit(supply(1, *[12] * 8), params(), "class")
    assert found.drop == ("c000",) and found.obstacle == ""
    assert found.settings["train.batch.classes"] == 2 and found.settings["episodes.protocols"] == "auto"
    assert found.now["episodes.protocols"] == "3w1s, 3w5s" and found.now["gate.min_accuracy"] == "3w1s 47 %"


def test_the_network_and_the_images_stay() -> None:
    keys = {key.rpartition(".")[0] for key in class_fit(supply(*[12] * 8), params(), "class").settings}
    assert keys <= {"split", "episodes", "train.batch", "train.validation", "train.method", "gate", "train"}


def test_four_classes_are_too_few() -> None:
    found = class_fit(supply(*[12] * 4), params(), "class")
    assert found.settings == {} and found.obstacle.startswith(
        "4 classes have two different images or more; needs at least 5"
    )


def test_three_groups_of_one_class_are_split_by_class() -> None:
    classes = supply(*[30] * 7, groups=("a", "b", "b", "c", "c", "c", "c"))
    assert class_fit(classes, params(), "group").settings["split.by"] == "class"


def test_protocols_by_drawer_get_no_settings_and_the_reason() -> None:
    drawn = {"n_way": 5, "k_shot": 1, "within_group": False, "by_drawer": True}
    asked = params(episodes_protocols={**DEFAULTS["episodes"]["protocols"], "5w1s": drawn})
    found = class_fit(supply(*[12] * 8), asked, "class")
    assert found.settings == {} and found.obstacle.startswith("5w1s has by_drawer: ")


@st.composite
def any_data(draw: st.DrawFn) -> tuple[list[ClassSupply], Params]:
    images = draw(st.lists(st.integers(1, 25), min_size=1, max_size=40))
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
    found = class_fit(classes, asked, by)
    if found.obstacle:
        assert not found.settings
        assert sum(one.images >= 2 for one in classes) < 5
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
    by = fitting.split.by if fitting.split.by != "auto" else by
    place = split_classes(
        {one.name: one.group for one in classes},
        {one.name: "" for one in classes},
        by=by,
        val=fitting.split.val,
        test=fitting.split.test,
        seed=fitting.split.seed,
        assign=fitting.split.assign,
    )
    turned = {"none": (), "train": ("train",), "all": ("train", "val", "test")}[fitting.split.rotations]
    rows = [
        {"class": one.name, "group": one.group, "rotation": turn, "split": place[one.name]}
        for one in classes
        for turn in range(4 if place[one.name] in turned else 1)
    ]
    files = [
        {"class": one.name, "content": f"{one.name}/{i}", "path": "x", "width": 9, "height": 9}
        for one in classes
        for i in range(one.images)
    ]
    fitting = resolved(fitting, classes, place)
    none = pd.DataFrame({"path": [], "class": [], "reason": []})
    made = tables(pd.DataFrame(files), none, pd.DataFrame(rows), fitting)
    assert (made["classes"]["missing_images"] == 0).all()
    assert (made["splits"]["missing_classes"] == 0).all()
