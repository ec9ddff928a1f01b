"""A decision is the same after it is written and read again, for any allowed params."""

import dataclasses
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.errors import RegistryError
from kshot.lifecycle.gate import gate_rules
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.decision_record import from_json, same_facts, to_json
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.gate.gate_rules import Comparison, Evidence
from kshot.lifecycle.gate.gate_text import reasons
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval

shares = st.floats(0, 1)
protocols = st.text(st.sampled_from(string.ascii_lowercase + string.digits + "-_"), min_size=1, max_size=5)
ends = st.floats(-1, 1) | st.just(float("nan"))
intervals = st.builds(Interval, shares, ends, ends)
names = st.text(max_size=4)


@st.composite
def galleries(draw: st.DrawFn) -> GalleryEvidence:
    if draw(st.booleans()):
        return GalleryEvidence(draw(names), 1, why="it has one class")
    counts = []
    for _ in range(draw(st.integers(1, 3))):
        examples = draw(st.integers(2, 9))
        counts.append(
            (examples, draw(st.integers(0, examples)), draw(st.integers(0, examples)), draw(st.integers(1, 4)))
        )
    return GalleryEvidence(draw(names), 9, tuple(counts), draw(st.integers(0, 99)))


@st.composite
def judged(draw: st.DrawFn) -> tuple[Evidence, Gate]:
    """Evidence and rules as params.yaml and any data can make them, mappings in any order."""
    asked = draw(st.lists(protocols, min_size=1, max_size=4, unique=True))
    rules = Gate(
        min_accuracy={name: draw(shares) for name in draw(st.permutations(asked))},
        group_protocol=draw(st.sampled_from(asked)),
        non_inferiority_margin=draw(shares),
        significantly_worse=draw(st.sampled_from(["refuse", "allow"])),
        reference=draw(st.just("best") | st.integers(1, 99)),
        max_group_drop=draw(shares),
        max_class_drop=draw(shares),
        approval=draw(st.sampled_from(["automatic", "manual"])),
        approval_timeout=draw(st.floats(0.1, 8784)),
        gallery_margin=draw(st.none() | shares),
        gallery_loss=draw(st.sampled_from(["wait", "refuse"])),
    )
    if rules.gallery_margin is None:
        rules = dataclasses.replace(rules, gallery_loss="wait")
    accuracy = {name: draw(intervals) for name in draw(st.permutations(asked))}
    if draw(st.booleans()):
        return Evidence(accuracy), rules
    changes = st.lists(
        st.builds(Change, st.sampled_from(asked), names, shares, shares, intervals, st.integers(2, 2000)), max_size=3
    ).map(tuple)
    comparisons = [
        Comparison(
            version=draw(st.integers(1, 999).map(str)),
            role=role,
            difference={name: draw(intervals) for name in draw(st.permutations(asked))},
            groups=draw(changes),
            classes=draw(changes),
        )
        for role in draw(
            st.lists(st.sampled_from([gate_rules.CHAMPION, gate_rules.BEST, gate_rules.FIXED]), max_size=3)
        )
    ]
    compared = tuple(draw(st.lists(galleries(), max_size=3))) if rules.gallery_margin is not None else None
    noted = tuple(draw(st.lists(names, max_size=2)))
    return Evidence(accuracy, draw(st.none() | st.just("3")), tuple(comparisons), noted, compared), rules


@given(judged())
@settings(max_examples=200, deadline=None)
def test_a_record_gives_the_same_decision_again_and_the_same_record(found: tuple[Evidence, Gate]) -> None:
    evidence, rules = found
    decision = gate_rules.decide(evidence, rules)
    # As kshot.lifecycle.registry.model_versions writes it: with sorted keys, as strict JSON.
    record = to_json(evidence, rules, decision)
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    again, same_rules, recorded = from_json(json.loads(text))
    assert json.dumps(to_json(again, same_rules, recorded), sort_keys=True, allow_nan=False) == text
    assert same_rules == rules and gate_rules.rules_hash(same_rules) == gate_rules.rules_hash(rules)
    decided_again = gate_rules.decide(again, same_rules)
    assert reasons(again, decided_again.findings) == reasons(evidence, decision.findings)
    assert same_facts(decided_again, recorded)


def test_another_figure_is_another_fact_and_order_is_none() -> None:
    evidence = Evidence({"p": Interval(0.9, 0.8, 1.0), "q": Interval(0.9, 0.8, 1.0)})
    decision = gate_rules.decide(
        evidence, Gate({"p": 0.5, "q": 0.5}, "p", 0.0, "refuse", "best", 0.0, 0.0, "automatic", 1.0)
    )
    first, second = decision.findings
    assert same_facts(decision, dataclasses.replace(decision, findings=(second, first)))
    assert not same_facts(
        decision, dataclasses.replace(decision, findings=(first, dataclasses.replace(second, value=0.8)))
    )
    assert not same_facts(decision, dataclasses.replace(decision, promote=False))


def test_a_record_without_galleries_is_that_of_a_kshot_from_before_them() -> None:
    rules = Gate({"p": 0.5}, "p", 0.0, "refuse", "best", 0.0, 0.0, "automatic", 1.0)
    evidence = Evidence({"p": Interval(0.9, 0.8, 1.0)})
    record = to_json(evidence, rules, gate_rules.decide(evidence, rules))
    assert "galleries" not in record["evidence"] and not {"gallery_margin", "gallery_loss"} & record["rules"].keys()
    assert gate_rules.rules_hash(rules) == gate_rules.rules_digest(record["rules"])
    asked = dataclasses.replace(rules, gallery_margin=0.05)
    assert gate_rules.rules_hash(asked) != gate_rules.rules_hash(rules)


def test_a_format_that_is_not_known_is_named() -> None:
    with pytest.raises(RegistryError, match="recorded in format 7, and this kshot reads 2"):
        from_json({"format": 7})
