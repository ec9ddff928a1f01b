import dataclasses

import pytest

from kshot.lifecycle import gate
from kshot.lifecycle.gate import Evidence, Finding, GroupChange, change_words, decide
from kshot.params import Gate
from kshot.statistics import Interval

RULES = Gate(
    min_accuracy={"20w1s": 0.60, "5w1s": 0.80},
    group_protocol="5w1s",
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
    return dataclasses.replace(AGAINST, groups=(GroupChange("Lao", 0.5, 0.6), GroupChange(name, champion, challenger)))


def failed(decision):
    assert decision.promote == all(finding.holds for finding in decision.findings)
    return [(finding.rule, finding.protocol, finding.name) for finding in decision.findings if not finding.holds]


def test_the_first_model_needs_only_the_least_accuracy():
    decision = decide(FIRST, RULES)
    assert decision.promote
    assert decision.findings == (
        Finding(gate.MIN_ACCURACY, True, "5w1s", 0.80, value=0.9),
        Finding(gate.MIN_ACCURACY, True, "20w1s", 0.60, value=0.7),
    )
    assert decision.reasons[-1] == "no champion yet to compare with"


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
@pytest.mark.parametrize("evidence", [FIRST, AGAINST], ids=["first", "against a champion"])
def test_the_mean_must_reach_the_least_accuracy_on_every_protocol(protocol, evidence):
    least = RULES.min_accuracy[protocol]
    assert decide(with_accuracy(evidence, protocol, least), RULES).promote
    refused = decide(with_accuracy(evidence, protocol, least - 0.0001), RULES)
    assert failed(refused) == [(gate.MIN_ACCURACY, protocol, "")]


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
def test_the_lower_end_of_the_difference_must_stay_within_the_margin_on_every_protocol(protocol):
    assert decide(with_difference(protocol, -0.005), RULES).promote
    refused = decide(with_difference(protocol, -0.0051, mean=0.001), RULES)
    assert failed(refused) == [(gate.NON_INFERIORITY, protocol, "")]


def test_a_protocol_that_no_rule_names_is_not_asked():
    unasked = with_difference("20w5s", -0.9)
    assert decide(with_accuracy(unasked, "20w5s", 0.0), RULES).promote


def test_an_interval_that_is_no_number_does_not_promote():
    assert not decide(with_difference("5w1s", float("nan")), RULES).promote


@pytest.mark.parametrize(("champion", "challenger"), [(0.9, 0.85), (0.3, 0.25), (0.15, 0.10)])
def test_a_group_may_lose_exactly_what_is_allowed_whatever_floats_make_of_it(champion, challenger):
    assert decide(with_group(champion, challenger), RULES).promote


def test_every_group_that_loses_more_is_found_the_worst_first():
    groups = (GroupChange("a", 0.9, 0.8), GroupChange("b", 0.9, 0.5), GroupChange("", 0.9, 0.7))
    refused = decide(dataclasses.replace(AGAINST, groups=groups), RULES)
    assert failed(refused) == [(gate.GROUP_DROP, "5w1s", name) for name in ("b", "", "a")]


def test_order_in_mappings_and_among_groups_carries_no_meaning():
    turned = dataclasses.replace(
        AGAINST,
        accuracy=dict(reversed(AGAINST.accuracy.items())),
        difference=dict(reversed((AGAINST.difference or {}).items())),
        groups=AGAINST.groups[::-1],
    )
    rules = dataclasses.replace(RULES, min_accuracy=dict(reversed(RULES.min_accuracy.items())))
    assert decide(turned, rules) == decide(AGAINST, RULES)


def test_protocols_are_ordered_by_their_numbers():
    assert gate.protocols(["20w1s", "5w5s", "a", "5w1s"]) == ["5w1s", "5w5s", "20w1s", "a"]


def test_a_decision_reads_failed_rules_first_and_notes_last():
    groups = (GroupChange("Greek", 0.9, 0.849), GroupChange("Lao", 0.5, 0.6))
    noted = dataclasses.replace(
        with_difference("20w1s", -0.1, mean=0.001), groups=groups, notes=("the champion knew some classes",)
    )
    assert decide(with_accuracy(noted, "5w1s", 0.79996), RULES).reasons == (
        "5w1s 79.996 % < required 80 %",
        "20w1s: 0.1 points better than champion 3 (-10.0 to +10.2); more than 0.5 points worse cannot be ruled out",
        "5w1s: group 'Greek' 90.00 % to 84.90 %, loses more than the 5 points allowed",
        "20w1s 70.0 % >= required 60 %",
        "5w1s: equal to champion 3 (-0.10 to +0.10)",
        "the champion knew some classes",
    )
    assert decide(AGAINST, RULES).reasons[-1] == (
        "5w1s: no group loses more than 5 points (the worst: group 'Ελλ ηνικά' 80.00 % to 78.00 %)"
    )


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.0548, 0.048, 0.0616), "5.5 points better than champion 1 (4.8 to 6.2)"),
        (Interval(-0.003, -0.0048, -0.0012), "0.30 points worse than champion 1 (-0.48 to -0.12)"),
        (Interval(-1e-6, -0.001, 0.001), "equal to champion 1 (-0.10 to +0.10)"),
    ],
)
def test_a_difference_reads_in_points_with_as_many_digits_as_its_interval_bears(interval, words):
    assert change_words(interval, "champion 1") == words


def test_evidence_that_lacks_a_protocol_of_the_rules_is_not_decided_on():
    with pytest.raises(KeyError, match="20w1s"):
        decide(Evidence({"5w1s": Interval(0.9, 0.9, 0.9)}), RULES)
