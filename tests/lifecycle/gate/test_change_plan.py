"""A change plan allows what it names, within its limits, and a malformed one is one clear error."""

import pytest

from kshot.errors import ParamsError
from kshot.lifecycle.gate import change_plan
from kshot.lifecycle.gate.change_plan import SOURCE, PlannedChange

PLAN = """\
settings:
  train.steps: {from: 1000, to: 20000}
  train.optimizer.*: any
  evaluate.views: [1, 2]
  train.loss.margin: [null, 0.5]
data:
  sources: [glyphs, birds-*]
gate:
  max_group_drop: {to: 0.05}
"""


def outside(*changes: tuple[str, object, object]) -> list[str]:
    return change_plan.outside(change_plan.parse(PLAN), [PlannedChange(*one) for one in changes])


@pytest.mark.parametrize(
    "change",
    [
        ("train.steps", 5000, 1000),
        ("train.steps", 5000, 20000),
        ("train.optimizer.learning_rate", 0.1, None),
        ("evaluate.views", 5, 2.0),
        ("train.loss.margin", 1.0, None),
        ("gate.max_group_drop", 0.01, 0.05),
        (SOURCE, "glyphs", "birds-2027"),
    ],
)
def test_a_change_within_the_limits_is_allowed(change: tuple[str, object, object]) -> None:
    assert outside(change) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("train.steps", 5000, 999), "train.steps 5000 -> 999 lies outside change_plan.yaml: it allows from 1000"),
        (("train.steps", 5000, True), "it allows from 1000 to 20000"),
        (("train.steps", 5000, None), "train.steps 5000 -> nothing lies outside"),
        (("evaluate.views", 1, 5), "it allows 1, 2"),
        (("evaluate.views", 1, True), "evaluate.views 1 -> True lies outside"),
        (("train.loss.margin", None, 0.4), "nothing -> 0.4 lies outside change_plan.yaml: it allows nothing, 0.5"),
        (("train.method.name", "metric", "maml"), "it does not name it"),
        (("gate.max_group_drop", 0.05, 0.06), "it allows to 0.05"),
        (("gate.min_accuracy.5w1s", 0.8, 0.7), "it does not name it"),
        ((SOURCE, "glyphs", "birds"), "it allows data sources glyphs, birds-*"),
    ],
)
def test_a_change_outside_is_told_with_the_limits(change: tuple[str, object, object], told: str) -> None:
    (sentence,) = outside(change)
    assert told in sentence


def test_a_change_must_lie_within_the_plan_before_too() -> None:
    before, wider = change_plan.parse("settings: {train.steps: {to: 5}}"), change_plan.parse("settings: {'*': any}")
    changes = [PlannedChange("train.steps", 1, 5), PlannedChange("train.steps", 1, 6), PlannedChange("a", 1, 2)]
    assert change_plan.outside(wider, changes) == []
    assert change_plan.outside(wider, changes, before) == [
        "train.steps 1 -> 6 lies outside change_plan.yaml as it was before: it allows to 5",
        "a 1 -> 2 lies outside change_plan.yaml as it was before: it does not name it",
    ]
    assert change_plan.outside(before, changes, wider) == change_plan.outside(before, changes)
    removed = change_plan.parse(change_plan.REMOVED)
    assert (
        change_plan.outside(removed, [*changes, PlannedChange(SOURCE, "a", "b"), PlannedChange("gate.x", 1, 2)]) == []
    )


def test_an_empty_section_allows_nothing() -> None:
    plan = change_plan.parse("settings:\n")
    changes = [PlannedChange("train.steps", 1, 2), PlannedChange(SOURCE, "a", "b")]
    assert len(change_plan.outside(plan, changes)) == 2


def test_reasons_name_the_first_changes_and_count_the_others() -> None:
    sentences = [f"change {number}" for number in range(7)]
    assert change_plan.in_brief(sentences) == [*sentences[:5], "and 2 more changes lie outside change_plan.yaml"]
    assert change_plan.in_brief(sentences[:5]) == sentences[:5]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "change_plan.yaml is empty; needs the sections settings, data, gate"),
        ("settings: [", "change_plan.yaml is not YAML: "),
        ("params: {}", "has the section params; needs settings, data, gate"),
        ("settings: [train.steps]", "settings is a list; needs names with what they may be"),
        ("settings: {train.steps: 5}", "settings.train.steps is 5; needs any, a list of values, or {from: NUMBER"),
        ("settings: {train.steps: {min: 5}}", "needs any, a list of values"),
        ("settings: {train.steps: {from: a}}", "needs any, a list of values"),
        ("settings: {train.steps: {}}", "needs any, a list of values"),
        ("gate: {max_group_drop: {from: 2, to: 1}}", "gate.max_group_drop goes from 2 to 1; needs from <= to"),
        ("settings: {1: any}", "settings.1 is no name of a setting"),
        ("data: {source: [a]}", "data has source; needs only sources"),
        ("data: {sources: a}", "data.sources is 'a'; needs a list of names or patterns"),
    ],
)
def test_a_malformed_plan_is_one_clear_error(text: str, told: str) -> None:
    with pytest.raises(ParamsError) as error:
        change_plan.parse(text)
    assert told in str(error.value) and "\n" not in str(error.value) and "commit" in str(error.value)


def test_a_pattern_of_settings_frees_no_rule_of_the_gate() -> None:
    plan = change_plan.parse("settings: {'*': any}")
    changes = [PlannedChange("train.steps", 1, 2), PlannedChange("gate.approval", "signed", "automatic")]
    (sentence,) = change_plan.outside(plan, changes)
    assert sentence.startswith("gate.approval signed -> automatic lies outside")
