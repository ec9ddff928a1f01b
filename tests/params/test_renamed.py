"""Params with old names are read with the current names, everywhere through one table."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params import renamed
from kshot.params.schema import params_from
from tests.short_names import PLACES

DEFAULTS: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())


def flat() -> dict[str, Any]:
    """The default settings under their old names: a flat section train, and evaluate.head."""
    old = copy.deepcopy(DEFAULTS)
    old["train"] = {word: renamed.at(DEFAULTS, ".".join(keys)) for word, keys in PLACES.items() if keys[0] == "train"}
    old["evaluate"]["head"] = old["evaluate"].pop("classifier")
    return old


def test_a_file_of_before_is_read_as_one_of_today_and_is_not_changed() -> None:
    old = flat()
    before = copy.deepcopy(old)
    assert len(old["train"]) == 45 and old["train"]["method"] == "metric"
    assert renamed.migrate(old) == DEFAULTS
    assert old == before
    assert params_from(old) == params_from(DEFAULTS)
    assert set(renamed.old_keys(old)) == set(renamed.RENAMED)


def test_a_file_of_today_has_no_old_key_and_stays_as_it_is() -> None:
    assert renamed.old_keys(DEFAULTS) == [] and renamed.outdated(DEFAULTS) == []
    assert renamed.migrate(DEFAULTS) == DEFAULTS


def test_no_name_of_today_is_an_old_one_but_for_values_that_became_sections() -> None:
    assert not set(renamed.RENAMED) & set(renamed.RENAMED.values())
    became = {old for old, new in renamed.RENAMED.items() if new.startswith(f"{old}.")}
    assert became == {"train.method", "train.loss"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"train": {"margin": 1, "loss": {"margin": 2}}},
            "train.loss.margin is there by its old name train.margin too",
        ),
        ({"evaluate": {"head": "method", "classifier": "method"}}, "old name evaluate.head too; remove evaluate.head"),
        ({"train": {"backbone": "conv4", "network": 3}}, "train.network is 3; needs a section of keys"),
    ],
)
def test_a_setting_by_both_names_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        renamed.migrate(params)


def test_the_adaptation_head_is_the_projection_of_today() -> None:
    for params in ({"train": {"adaptation": "head"}}, {"train": {"network": {"adaptation": "head"}}}):
        assert renamed.migrate(params) == {"train": {"network": {"adaptation": "projection"}}}
    assert renamed.outdated({"train": {"network": {"adaptation": "head"}}}) == ["train.network.adaptation: head"]


def test_half_a_file_may_have_old_names() -> None:
    mixed = {"train": {"loss": {"name": "triplet"}, "margin": 0.5, "steps": 5}}
    assert renamed.migrate(mixed) == {"train": {"loss": {"name": "triplet", "margin": 0.5}, "steps": 5}}


@pytest.mark.parametrize(
    ("key", "value", "today"),
    [
        ("train.margin", 0.5, "train.loss.margin"),
        ("train.loss", "triplet", "train.loss.name"),
        ("train.loss", {"name": "triplet"}, "train.loss"),
        ("train.method_arguments.steps", 5, "train.method.arguments.steps"),
        ("train.reduce.dim", 8, "train.projection.reduce.dim"),
        ("train.method.name", "maml", "train.method.name"),
        ("train.steps", 5, "train.steps"),
        ("train.augment.scale", 0, "train.augment.scale"),
    ],
)
def test_a_dotted_key_has_a_name_of_today(key: str, value: Any, today: str) -> None:
    assert renamed.key_of(key, value) == today


def test_a_setting_is_changed_under_the_name_that_a_file_has() -> None:
    old = {"train": {"loss": "triplet", "reduce": {"dim": 8}}}
    assert renamed.place(old, "train.loss.name") == "train.loss"
    assert renamed.place(old, "train.projection.reduce.dim") == "train.reduce.dim"
    assert renamed.place(old, "train.loss.margin") == "train.loss.margin"
    assert renamed.place(DEFAULTS, "train.loss.name") == "train.loss.name"


def test_params_of_a_run_of_before_are_those_of_today() -> None:
    old = {"train.loss": "triplet", "train.adaptation": "head", "train.reduce.dim": "null", "train.steps": "600"}
    assert renamed.recorded(old) == {
        "train.loss.name": "triplet",
        "train.network.adaptation": "projection",
        "train.projection.reduce.dim": "null",
        "train.steps": "600",
    }


def test_dotted_keys_and_sections_are_each_others_reverse() -> None:
    assert renamed.nested(renamed.leaves(DEFAULTS)) == DEFAULTS
    assert renamed.nested({"train": {"loss": {"name": "x"}}, "ingest.size": 8})["ingest"] == {"size": 8}
