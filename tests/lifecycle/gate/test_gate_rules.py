"""The gate's rules on figures by hand."""

import dataclasses

import pytest

from kshot.lifecycle.gate import gate_rules
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.gate.gate_rules import Comparison, Decision, Evidence, Finding, decide
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval, ratio_difference

RULES = Gate(
    min_accuracy={"20w1s": 0.60, "5w1s": 0.80},
    group_protocol="5w1s",
    non_inferiority_margin=0.005,
    significantly_worse="refuse",
    reference="best",
    max_group_drop=0.05,
    max_class_drop=0.03,
    approval="automatic",
    approval_timeout=72.0,
)
FIRST = Evidence({"5w1s": Interval(0.9, 0.89, 0.91), "20w1s": Interval(0.7, 0.69, 0.71)})
SAME = Interval(0.0, -0.001, 0.001)


def change(name: str, mean: float, half: float = 0.001, episodes: int = 1000) -> Change:
    return Change("5w1s", name, 0.9, 0.9 + mean, Interval(mean, mean - half, mean + half), episodes)


CHAMPION = Comparison(
    "3",
    gate_rules.CHAMPION,
    {"5w1s": SAME, "20w1s": SAME},
    groups=(change("Greek", 0.01), change("Lao", -0.02)),
    classes=(change("alpha", 0.01), change("ko", -0.02)),
)
AGAINST = dataclasses.replace(FIRST, champion="3", comparisons=(CHAMPION,))


def against(*others: Comparison, **changes: object) -> Evidence:
    champion = dataclasses.replace(CHAMPION, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(AGAINST, comparisons=(champion, *others))


def with_accuracy(evidence: Evidence, protocol: str, mean: float) -> Evidence:
    changed = {**evidence.accuracy, protocol: Interval(mean, mean - 0.01, mean + 0.01)}
    return dataclasses.replace(evidence, accuracy=changed)


def with_difference(protocol: str, low: float, mean: float = 0.0) -> Evidence:
    return against(difference={**CHAMPION.difference, protocol: Interval(mean, low, 2 * mean - low)})


def failed(decision: Decision) -> list[tuple[str, str, str]]:
    """Rule, protocol and name of each finding that does not hold."""
    return [
        (one.rule, one.protocol, one.change.name if one.change else "") for one in decision.findings if not one.holds
    ]


def test_the_first_model_needs_only_the_least_accuracy() -> None:
    decision = decide(FIRST, RULES)
    assert decision == Decision(
        True,
        (
            Finding(gate_rules.MIN_ACCURACY, True, "5w1s", 0.80, value=0.9),
            Finding(gate_rules.MIN_ACCURACY, True, "20w1s", 0.60, value=0.7),
        ),
    )


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
@pytest.mark.parametrize("evidence", [FIRST, AGAINST], ids=["first", "against a champion"])
def test_the_mean_must_reach_the_least_accuracy_on_every_protocol(protocol: str, evidence: Evidence) -> None:
    least = RULES.min_accuracy[protocol]
    assert decide(with_accuracy(evidence, protocol, least), RULES).promote
    refused = decide(with_accuracy(evidence, protocol, least - 0.0001), RULES)
    assert not refused.promote and failed(refused) == [(gate_rules.MIN_ACCURACY, protocol, "")]


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
def test_the_lower_end_of_the_difference_must_stay_within_the_margin_on_every_protocol(protocol: str) -> None:
    assert decide(with_difference(protocol, -0.005), RULES).promote
    refused = decide(with_difference(protocol, -0.0051, mean=0.001), RULES)
    assert not refused.promote and failed(refused) == [(gate_rules.NON_INFERIORITY, protocol, "")]


@pytest.mark.parametrize("protocol", ["5w1s", "20w1s"])
def test_a_significantly_worse_challenger_is_refused_within_the_margin_too(protocol: str) -> None:
    refused = decide(with_difference(protocol, -0.0048, mean=-0.003), RULES)
    assert not refused.promote and failed(refused) == [(gate_rules.NOT_WORSE, protocol, "")]
    assert decide(with_difference(protocol, -0.0048, mean=-0.0024), RULES).promote
    allowed = dataclasses.replace(RULES, significantly_worse="allow")
    assert decide(with_difference(protocol, -0.0048, mean=-0.003), allowed).promote


@pytest.mark.parametrize("role", [gate_rules.BEST, gate_rules.FIXED])
def test_both_rules_hold_against_the_reference_as_well(role: str) -> None:
    best = Comparison("1", role, {"5w1s": Interval(-0.004, -0.006, -0.002), "20w1s": SAME})
    refused = decide(against(best), RULES)
    assert not refused.promote
    assert failed(refused) == [(gate_rules.NON_INFERIORITY, "5w1s", ""), (gate_rules.NOT_WORSE, "5w1s", "")]
    assert {one.against for one in refused.findings} == {"", "champion 3", f"{role} 1"}


def test_the_best_champion_of_one_protocol_is_asked_for_that_one_alone() -> None:
    decision = decide(against(Comparison("1", gate_rules.BEST, {"20w1s": SAME})), RULES)
    assert [one.protocol for one in decision.findings if one.against == "best champion 1"] == ["20w1s", "20w1s"]


def test_a_protocol_that_no_rule_names_is_not_asked() -> None:
    unasked = with_difference("20w5s", -0.9)
    assert decide(with_accuracy(unasked, "20w5s", 0.0), RULES).promote


def test_an_interval_that_is_no_number_does_not_promote() -> None:
    refused = decide(with_difference("5w1s", float("nan"), mean=-0.2), RULES)
    assert failed(refused) == [(gate_rules.NON_INFERIORITY, "5w1s", "")]  # nothing shows that it is worse, either
    assert refused.promote is False


def test_a_group_of_one_episode_refuses_nothing_however_much_it_lost() -> None:
    decision = decide(against(groups=(change("a", -0.9, half=float("nan"), episodes=1),)), RULES)
    assert decision.promote and not failed(decision)


def test_a_group_that_lost_more_than_allowed_for_certain_refuses_the_worst_first() -> None:
    groups = (change("a", -0.06), change("b", -0.2), change("", -0.1), change("d", 0.0))
    refused = decide(against(groups=groups), RULES)
    assert not refused.promote
    assert failed(refused) == [(gate_rules.GROUP_DROP, "5w1s", name) for name in ("b", "", "a")]


def test_a_group_whose_loss_is_not_certain_refuses_nothing_and_is_found() -> None:
    decision = decide(against(groups=(change("a", -0.08, half=0.04), change("b", 0.0))), RULES)
    assert decision.promote
    (found,) = [one for one in decision.findings if one.rule == gate_rules.GROUP_DROP]
    assert found.holds and found.change is not None and found.change.name == "a" and found.family == 2


@pytest.mark.parametrize(("groups", "refused"), [(1, True), (10, False)])
def test_what_is_certain_of_one_group_is_not_among_ten(groups: int, refused: bool) -> None:
    others = tuple(change(f"g{number}", 0.0, half=0.03) for number in range(groups - 1))
    decision = decide(against(groups=(change("a", -0.09, half=0.035), *others)), RULES)
    assert decision.promote != refused


@pytest.mark.parametrize("drop", [0.9 - 0.85, 0.3 - 0.25, 0.15 - 0.1])
def test_a_group_may_lose_exactly_what_is_allowed_whatever_floats_make_of_it(drop: float) -> None:
    assert decide(against(groups=(change("a", -drop, half=1e-12),)), RULES).promote


def test_a_class_that_lost_for_certain_is_found_and_refuses_nothing() -> None:
    classes = (change("Red-Beet", -0.107, half=0.0478, episodes=200), change("Kiwi", -0.06, half=0.01))
    decision = decide(against(classes=classes), RULES)
    assert decision.promote
    assert failed(decision) == [(gate_rules.CLASS_DROP, "5w1s", name) for name in ("Red-Beet", "Kiwi")]


def test_order_in_the_evidence_and_the_rules_carries_no_meaning() -> None:
    best = Comparison("1", gate_rules.BEST, {"20w1s": SAME, "5w1s": SAME})
    turned = dataclasses.replace(
        AGAINST,
        accuracy=dict(reversed(AGAINST.accuracy.items())),
        comparisons=(
            dataclasses.replace(best, difference={"5w1s": SAME, "20w1s": SAME}),
            dataclasses.replace(CHAMPION, groups=CHAMPION.groups[::-1], classes=CHAMPION.classes[::-1]),
        ),
    )
    rules = dataclasses.replace(RULES, min_accuracy=dict(reversed(RULES.min_accuracy.items())))
    assert decide(turned, rules) == decide(against(best), RULES)
    assert gate_rules.rules_hash(rules) == gate_rules.rules_hash(RULES)


def test_protocols_are_ordered_by_their_numbers() -> None:
    assert gate_rules.ordered_protocols(["20w1s", "5w5s", "a", "5w1s"]) == ["5w1s", "5w5s", "20w1s", "a"]


def test_evidence_that_lacks_a_protocol_of_the_rules_is_not_decided_on() -> None:
    with pytest.raises(KeyError, match="20w1s"):
        decide(Evidence({"5w1s": Interval(0.9, 0.9, 0.9)}), RULES)


def test_a_champion_that_lacks_a_protocol_is_judged_on_the_others() -> None:
    worse = Interval(-0.1, -0.11, -0.09)
    lacks_one = decide(against(difference={"5w1s": SAME}), RULES)
    assert lacks_one.promote
    assert [one.protocol for one in lacks_one.findings if one.rule == gate_rules.NON_INFERIORITY] == ["5w1s"]
    # It answered none of gate.min_accuracy: the easiest common protocol.
    evidence = with_accuracy(against(difference={"4w1s": worse, "8w1s": SAME}), "4w1s", 0.9)
    assert failed(decide(with_accuracy(evidence, "8w1s", 0.8), RULES)) == [
        (gate_rules.NON_INFERIORITY, "4w1s", ""),
        (gate_rules.NOT_WORSE, "4w1s", ""),
    ]


LOST = GalleryEvidence("shop", 20, ((5, 5, 1, 20),), 7)  # each of 20 classes: 5 of 5 right, then 1
SMALL = GalleryEvidence("desk", 2, ((3, 3, 1, 2),), 1)  # as bad, of two classes
EQUAL = GalleryEvidence("equal", 3, ((4, 4, 4, 2), (4, 2, 2, 1)))
NONE = GalleryEvidence("one", 1, why="it has one class, so that nothing can be confused")


def with_galleries(loss: str, *galleries: GalleryEvidence) -> Decision:
    rules = dataclasses.replace(RULES, gallery_margin=0.05, gallery_loss=loss)  # type: ignore[arg-type]
    return decide(dataclasses.replace(AGAINST, galleries=galleries), rules)


def test_a_gallery_s_figures_follow_from_its_counts() -> None:
    found = EQUAL.change()
    assert found is not None and (EQUAL.tested, found.episodes) == (12, 3)
    assert (found.old, found.new) == (10 / 12, 10 / 12)
    assert found.difference == ratio_difference([4, 4, 2], [4, 4, 2], [4, 4, 4])
    assert NONE.change() is None


def test_a_gallery_that_lost_for_certain_refuses_or_asks_for_a_person() -> None:
    refused = with_galleries("refuse", EQUAL, LOST, NONE)
    assert not refused.promote and failed(refused) == [("gallery_margin", "", "shop")] and not refused.waits
    asked = with_galleries("wait", EQUAL, LOST, NONE)
    assert asked.promote and asked.waits and failed(asked) == [("gallery_margin_waits", "", "shop")]


def test_a_small_gallery_s_loss_is_not_certain_and_the_worst_gallery_is_named() -> None:
    decision = with_galleries("refuse", EQUAL, SMALL)
    assert decision.promote and failed(decision) == []
    found = [one.change for one in decision.findings if one.rule == "gallery_margin"]
    assert [one.name for one in found if one is not None] == ["desk"]
    (finding,) = [one for one in with_galleries("refuse", EQUAL).findings if one.rule == "gallery_margin"]
    assert finding.change is not None and finding.change.name == "equal" and finding.against == "champion 3"


def test_galleries_count_only_where_the_rules_and_a_champion_ask_for_them() -> None:
    lost = dataclasses.replace(AGAINST, galleries=(LOST,))
    assert decide(lost, RULES) == decide(AGAINST, RULES)
    rules = dataclasses.replace(RULES, gallery_margin=0.05)
    assert decide(FIRST, rules).promote
    with pytest.raises(KeyError, match="galleries"):
        decide(AGAINST, rules)
