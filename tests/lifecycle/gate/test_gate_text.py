"""The text of decisions."""

import dataclasses

import pytest

from kshot.lifecycle.gate import gate_rules
from kshot.lifecycle.gate.gate_rules import Comparison, Evidence, decide
from kshot.lifecycle.gate.gate_text import change_text, difference_text, reasons
from kshot.statistics import Interval
from tests.lifecycle.gate.test_gate_rules import (
    AGAINST,
    EQUAL,
    FIRST,
    LOST,
    NONE,
    RULES,
    against,
    change,
    with_accuracy,
)


def text(evidence: Evidence) -> tuple[str, ...]:
    return reasons(evidence, decide(evidence, RULES).findings)


def test_what_refuses_comes_first_then_what_warns_then_what_holds_and_notes_last() -> None:
    evidence = against(
        Comparison("1", gate_rules.BEST, {"5w1s": Interval(-0.004, -0.006, -0.002)}),
        difference={"5w1s": Interval(-0.003, -0.0048, -0.0012), "20w1s": Interval(0.001, -0.1, 0.102)},
        groups=(change("Greek", -0.051, half=0.0005), change("Lao", -0.06, half=0.05)),
        classes=(change("Kiwi", -0.06, half=0.01), change("Red-Beet", -0.107, half=0.0478, episodes=200)),
    )
    noted = dataclasses.replace(evidence, notes=("the champion knew some classes",))
    assert text(with_accuracy(noted, "5w1s", 0.79996)) == (
        "5w1s 79.996 % < required 80 % (gate.min_accuracy.5w1s)",
        "5w1s: 0.30 points worse than champion 3 (-0.48 to -0.12); significantly worse (gate.significantly_worse)",
        "20w1s: 0.1 points better than champion 3 (-10.0 to +10.2); more than 0.5 points worse cannot be ruled out "
        "(gate.non_inferiority_margin)",
        "5w1s: 0.40 points worse than best champion 1 (-0.60 to -0.20); significantly worse "
        "(gate.significantly_worse); more than 0.5 points worse cannot be ruled out (gate.non_inferiority_margin)",
        "5w1s: 1 group lost for certain more than 5 points against champion 3 (Greek -5.10 points, -5.15 to -5.05; "
        "gate.max_group_drop)",
        "5w1s: 2 classes lost for certain more than 3 points against champion 3 (Red-Beet -10.7 points, "
        "-15.5 to -5.9, Kiwi -6.0 points, -7.0 to -5.0)",
        "20w1s 70.0 % >= required 60 %",
        "5w1s: 1 group lost more than 5 points against champion 3 (Lao -6.0 points, -11.0 to -1.0; "
        "not certain among 2)",
        "the champion knew some classes",
    )


def test_a_pass_reads_as_one() -> None:
    assert text(AGAINST) == (
        "5w1s 90.0 % >= required 80 %",
        "20w1s 70.0 % >= required 60 %",
        "5w1s: equal to champion 3 (-0.10 to +0.10)",
        "20w1s: equal to champion 3 (-0.10 to +0.10)",
        "5w1s: no group lost more than 5 points against champion 3 (the worst: Lao -2.00 points, -2.10 to -1.90)",
    )
    assert text(FIRST)[-1] == "no champion yet to compare with"


def test_many_classes_are_counted_and_the_worst_are_named() -> None:
    lost = tuple(change(f"c{number}", -0.1 - number / 1000) for number in range(9))
    (sentence,) = [one for one in text(against(classes=lost)) if "classes" in one]
    assert sentence.startswith("5w1s: 9 classes lost for certain more than 3 points against champion 3 (c8 -10.80")
    assert sentence.endswith("and 4 more)")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.0548, 0.048, 0.0616), "5.5 points better than champion 1 (4.8 to 6.2)"),
        (Interval(-0.003, -0.0048, -0.0012), "0.30 points worse than champion 1 (-0.48 to -0.12)"),
        (Interval(-1e-6, -0.001, 0.001), "equal to champion 1 (-0.10 to +0.10)"),
        (Interval(0.1, float("nan"), float("nan")), "10.00 points better than champion 1 (no interval: one episode)"),
    ],
)
def test_a_difference_has_as_many_digits_as_its_interval_bears(interval: Interval, words: str) -> None:
    assert difference_text(interval, "champion 1") == words


def test_classes_without_a_group_are_named_as_such() -> None:
    assert change_text(change("", -0.1)).startswith("no group -10.00 points")


def test_galleries_are_named_with_both_accuracies_and_the_setting_that_asks() -> None:
    rules = dataclasses.replace(RULES, gallery_margin=0.05)
    evidence = dataclasses.replace(AGAINST, galleries=(EQUAL, LOST, NONE))
    lost, *_, each = reasons(evidence, decide(evidence, rules).findings)
    assert lost == (
        "1 gallery lost for certain more than 5 points against champion 3 (shop -80.0 points, -81.8 to -75.4; "
        "gate.gallery_margin: a person decides)"
    )
    assert each == (
        "galleries, each example classified without itself: shop -80.0 points, -81.8 to -75.4 (100.0 % -> 20.0 %); "
        "equal +0.0 points, -55.2 to +55.2 (83.3 % -> 83.3 %); one not compared: it has one class, so that nothing can "
        "be confused"
    )
    none = dataclasses.replace(AGAINST, galleries=())
    assert reasons(none, decide(none, rules).findings)[-1] == "no gallery to compare (gate.gallery_margin)"
