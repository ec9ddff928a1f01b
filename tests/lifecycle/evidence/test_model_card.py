"""The model card shows what was measured, says what was not, and lets no name change its form."""

from dataclasses import replace
from typing import Any

from kshot.lifecycle.evidence import model_card
from kshot.lifecycle.evidence.described_model import DescribedModel
from kshot.lifecycle.evidence.model_card import Section
from kshot.lifecycle.pages.render import NONE

ONE = {"mean": 0.9, "low": 0.8, "high": 0.95, "episodes": 20}


DESCRIBED = DescribedModel(
    project="shop",
    version="1",
    decided="2026-11-30T10:00:00+00:00",
    decision="promoted",
    manifest_sha256="0" * 64,
    weights={},
    network="conv4",
    training="full training",
    metrics={"accuracy": {"5w1s": ONE}, "inference": {"method": "metric", "by": "prototype"}},
    protocol="5w1s",
    data_version="d" * 32,
    images=144,
    source="whose source is not recorded",
    splits={"train": 9},
    limits=("one",),
)


def parts(**other: Any) -> dict[str, Section]:
    return {part.title: part for part in model_card.sections(replace(DESCRIBED, **other))}


def row(name: str, accuracy: str, **other: str) -> dict[str, str]:
    figures = {"protocol": "5w1s", "accuracy": accuracy, "low": "0.1", "high": "1.0", "queries": "8", "rotation": "0"}
    return {**figures, "class": name, **other}


def test_what_was_not_measured_is_said() -> None:
    found = parts()
    assert found["Groups"].paragraphs == ("The classes have no groups.",)
    assert "not measured" in found["Images of no class"].paragraphs[0]


def test_the_five_weakest_classes_of_the_protocol_are_named_worst_first() -> None:
    rows = [row(f"c{n}", str(n / 10)) for n in range(7)] + [row("other", "0.0", protocol="5w5s")]
    table = parts(classes=rows[::-1])["Weakest classes"].table
    assert [line[0] for line in table[1:]] == ["c0", "c1", "c2", "c3", "c4"]
    assert table[1][1] == "0.00 % [10.00, 100.00]"


def test_a_rotated_class_is_named_with_its_angle_and_a_missing_interval_is_a_dash() -> None:
    table = parts(classes=[row("c", "0.5", rotation="1", low="", high="")])["Weakest classes"].table
    assert table[1][:2] == ("c @90", f"50.00 % {NONE}")


def test_open_set_figures_without_a_threshold_are_dashes() -> None:
    metrics = {
        "accuracy": {"5w1s": ONE},
        "unknown": {"5w1s": {"threshold": None, "accepted": None, "false_accept": None, "auroc": 0.75, "unknown": 9}},
    }
    assert parts(metrics=metrics)["Images of no class"].table[1] == ("5w1s", NONE, NONE, "0.75")


def test_an_older_record_names_its_classifier_or_that_it_has_none() -> None:
    without = replace(DESCRIBED, metrics={"accuracy": {}})
    assert (without.classifier, without.method) == ("not recorded", "not recorded")
    older = replace(DESCRIBED, metrics={"answering": {"method": "metric", "by": "prototype"}})
    assert (older.classifier, older.method) == ("prototype", "metric")


def test_a_name_cannot_change_the_form_of_the_card() -> None:
    name = "a|b <b>`x`\n# y"
    given = list(parts(classes=[row(name, "0.5")]).values())
    lines = model_card.markdown("t", given).splitlines()
    assert r"| a\|b \<b>\`x\` \# y | 50.00 % [10.00, 100.00] | 8 |" in lines
    assert "<b>`x`" not in model_card.html("t", given)
