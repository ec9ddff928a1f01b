import dataclasses
import json

import pytest

from kshot.lifecycle.gate import Decision, Evidence, GroupChange, decide, from_json, to_json
from kshot.params import Gate
from kshot.statistics import Interval

RULES = Gate(
    min_accuracy={"5w1s": 0.80, "20w1s": 0.60},
    non_inferiority_margin=0.005,
    max_group_drop=0.05,
    approval="automatic",
    approval_timeout=72.0,
)
FIRST = Evidence({"5w1s": Interval(0.9, 0.89, 0.91), "20w1s": Interval(0.7, 0.69, 0.71)})
SAME = Interval(0.0, -0.001, 0.001)
AGAINST = dataclasses.replace(
    FIRST,
    champion="3",
    difference={"5w1s": SAME, "20w1s": SAME},
    groups=(GroupChange("Greek", 0.9, 0.91), GroupChange("Ελλ ηνικά", 0.8, 0.78)),
)


def with_accuracy(evidence, protocol, mean):
    changed = {**evidence.accuracy, protocol: Interval(mean, mean - 0.01, mean + 0.01)}
    return dataclasses.replace(evidence, accuracy=changed)


def with_difference(protocol, low, mean=0.0):
    assert AGAINST.difference is not None
    return dataclasses.replace(
        AGAINST, difference={**AGAINST.difference, protocol: Interval(mean, low, 2 * mean - low)}
    )


def with_group(champion, challenger, name="Greek"):
    return dataclasses.replace(AGAINST, groups=(GroupChange(name, champion, challenger), GroupChange("Lao", 0.5, 0.6)))


def test_the_first_model_needs_only_the_least_accuracy():
    assert decide(FIRST, RULES) == Decision(
        True,
        (
            "5w1s accuracy 90.00 % reaches the least allowed, 80.00 %",
            "20w1s accuracy 70.00 % reaches the least allowed, 60.00 %",
            "there is no champion yet to compare with",
        ),
    )


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
@pytest.mark.parametrize("evidence", [FIRST, AGAINST], ids=["first", "against a champion"])
def test_the_mean_must_reach_the_least_accuracy_on_every_protocol(protocol, evidence):
    least = RULES.min_accuracy[protocol]
    assert decide(with_accuracy(evidence, protocol, least), RULES).promote
    refused = decide(with_accuracy(evidence, protocol, least - 0.0001), RULES)
    assert not refused.promote
    assert refused.reasons[0] == f"{protocol} accuracy {100 * least - 0.01:.2f} % is below the least allowed, " + (
        f"{100 * least:.2f} %"
    )


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
def test_the_lower_end_of_the_difference_must_stay_within_the_margin_on_every_protocol(protocol):
    assert decide(with_difference(protocol, -0.005), RULES).promote
    refused = decide(with_difference(protocol, -0.0051, mean=0.001), RULES)
    assert not refused.promote
    assert refused.reasons[0] == (
        f"{protocol} differs from champion 3 by +0.10 pp [-0.51, +0.71], which reaches below the margin of -0.50 pp"
    )


def test_a_protocol_that_no_rule_names_is_not_asked():
    unasked = with_difference("20w5s", -0.9)
    assert decide(with_accuracy(unasked, "20w5s", 0.0), RULES).promote


def test_an_interval_that_is_no_number_does_not_promote():
    assert not decide(with_difference("5w1s", float("nan")), RULES).promote


@pytest.mark.parametrize(("champion", "challenger"), [(0.9, 0.85), (0.3, 0.25), (0.15, 0.10)])
def test_a_group_may_lose_exactly_what_is_allowed_whatever_floats_make_of_it(champion, challenger):
    assert decide(with_group(champion, challenger), RULES).promote


def test_a_group_that_loses_more_is_named_with_both_accuracies():
    refused = decide(with_group(0.9, 0.849), RULES)
    assert not refused.promote
    assert refused.reasons[0] == "group 'Greek' falls from 90.00 % to 84.90 % on 5w1s, more than the 5.00 pp allowed"


def test_classes_without_a_group_are_told_as_such():
    assert decide(with_group(0.9, 0.8, name=""), RULES).reasons[0].startswith("the classes without a group fall from")


def test_every_group_that_loses_is_named():
    groups = tuple(GroupChange(name, 0.9, 0.5) for name in "ab")
    reasons = decide(dataclasses.replace(AGAINST, groups=groups), RULES).reasons
    assert ["'a'" in reasons[0], "'b'" in reasons[1]] == [True, True]


def test_a_pass_tells_its_figures_too():
    decision = decide(AGAINST, RULES)
    assert decision.promote
    assert decision.reasons[2:] == (
        "5w1s differs from champion 3 by +0.00 pp [-0.10, +0.10], which stays above the margin of -0.50 pp",
        "20w1s differs from champion 3 by +0.00 pp [-0.10, +0.10], which stays above the margin of -0.50 pp",
        "no group loses more than the 5.00 pp allowed on 5w1s (the worst: 'Ελλ ηνικά', 80.00 % to 78.00 %)",
    )


def test_what_failed_is_told_first_and_the_notes_last():
    noted = dataclasses.replace(with_difference("20w1s", -0.1), notes=("the champion knew some classes",))
    reasons = decide(noted, RULES).reasons
    assert "20w1s differs" in reasons[0]
    assert reasons[-1] == "the champion knew some classes"


def test_evidence_that_lacks_a_protocol_of_the_rules_is_not_decided_on():
    with pytest.raises(KeyError, match="20w1s"):
        decide(Evidence({"5w1s": Interval(0.9, 0.9, 0.9)}), RULES)


@pytest.mark.parametrize("evidence", [FIRST, dataclasses.replace(with_group(0.9, 0.7), notes=("a", "b"))])
def test_a_decision_can_be_taken_again_from_its_record(evidence):
    decision = decide(evidence, RULES)
    record = json.loads(json.dumps(to_json(evidence, RULES, decision)))
    assert from_json(record) == (evidence, RULES, decision)
    again, rules, kept = from_json(record)
    assert decide(again, rules) == kept
