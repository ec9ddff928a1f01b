"""May this model replace the one in production? A pure function of the evidence and the rules."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from kshot.params import Gate
from kshot.statistics import Interval

ROUNDING = 1e-9  # 0.90 - 0.85 is a little more than 0.05: what meets a rule exactly holds


@dataclass(frozen=True)
class GroupChange:
    """Accuracies of champion and challenger on one group of classes, in [0, 1]."""

    group: str
    champion: float
    challenger: float


@dataclass(frozen=True)
class Evidence:
    """What the decision rests on.

    accuracy    protocol to the challenger's accuracy
    champion    the version it is compared with, None for the first model
    difference  protocol to challenger - champion, paired episode by episode
    groups      on the first protocol of gate.min_accuracy
    notes       what a person should know beside the figures
    """

    accuracy: dict[str, Interval]
    champion: str | None = None
    difference: dict[str, Interval] | None = None
    groups: tuple[GroupChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and each rule's word in a sentence, what failed first."""

    promote: bool
    reasons: tuple[str, ...]


def decide(evidence: Evidence, rules: Gate) -> Decision:
    """Promote if every rule holds.

    Without a champion only gate.min_accuracy is asked. Raises KeyError for evidence that lacks a protocol of the rules.
    """
    words = _enough(evidence, rules)
    if evidence.champion is not None:
        words += _not_worse(evidence, rules) + _no_group_left_behind(evidence, rules)
    failed = [reason for holds, reason in words if not holds]
    held = [reason for holds, reason in words if holds]
    if evidence.champion is None:
        held.append("there is no champion yet to compare with")
    return Decision(not failed, (*failed, *held, *evidence.notes))


def _enough(evidence: Evidence, rules: Gate) -> list[tuple[bool, str]]:
    words = []
    for protocol, least in rules.min_accuracy.items():
        mean = evidence.accuracy[protocol].mean
        holds = mean >= least - ROUNDING
        word = "reaches" if holds else "is below"
        words.append((holds, f"{protocol} accuracy {percent(mean)} {word} the least allowed, {percent(least)}"))
    return words


def _not_worse(evidence: Evidence, rules: Gate) -> list[tuple[bool, str]]:
    words, margin = [], rules.non_inferiority_margin
    assert evidence.difference is not None
    for protocol in rules.min_accuracy:
        mean, low, high = evidence.difference[protocol]
        holds = low >= -margin - ROUNDING
        word = "stays above" if holds else "reaches below"
        words.append(
            (
                holds,
                f"{protocol} differs from champion {evidence.champion} by {points(mean)} "
                f"[{points(low, '')}, {points(high, '')}], which {word} the margin of {points(-margin)}",
            )
        )
    return words


def _no_group_left_behind(evidence: Evidence, rules: Gate) -> list[tuple[bool, str]]:
    if not evidence.groups:
        return []
    protocol = next(iter(rules.min_accuracy))
    allowed = f"the {100 * rules.max_group_drop:.2f} pp allowed"
    lost = [change for change in evidence.groups if _drop(change) > rules.max_group_drop + ROUNDING]
    if lost:
        return [
            (
                False,
                f"{_name(change.group)} from {percent(change.champion)} to {percent(change.challenger)} "
                f"on {protocol}, more than {allowed}",
            )
            for change in lost
        ]
    worst = max(evidence.groups, key=_drop)
    where = repr(worst.group) if worst.group else "the classes without a group"
    change = f"{where}, {percent(worst.champion)} to {percent(worst.challenger)}"
    return [(True, f"no group loses more than {allowed} on {protocol} (the worst: {change})")]


def _drop(change: GroupChange) -> float:
    return change.champion - change.challenger


def _name(group: str) -> str:
    return f"group {group!r} falls" if group else "the classes without a group fall"


def percent(share: float) -> str:
    """A share as a person reads it: 98.61 %."""
    return f"{100 * share:.2f} %"


def points(difference: float, unit: str = " pp") -> str:
    """A difference of shares in percentage points: +0.12 pp."""
    return f"{100 * difference:+.2f}{unit}"


def rules_hash(rules: Gate) -> str:
    """16 hex digits that stand for the rules; who carries a decision out is none of them."""
    kept = {key: value for key, value in asdict(rules).items() if not key.startswith("approval")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def to_json(evidence: Evidence, rules: Gate, decision: Decision) -> dict[str, Any]:
    """Everything needed to decide again later, as plain JSON."""
    return {"evidence": asdict(evidence), "rules": asdict(rules), "decision": asdict(decision)}


def from_json(record: dict[str, Any]) -> tuple[Evidence, Gate, Decision]:
    """What `to_json` was given."""
    found = record["evidence"]
    difference = found["difference"]
    evidence = Evidence(
        accuracy={name: Interval(*values) for name, values in found["accuracy"].items()},
        champion=found["champion"],
        difference=None if difference is None else {name: Interval(*values) for name, values in difference.items()},
        groups=tuple(GroupChange(**change) for change in found["groups"]),
        notes=tuple(found["notes"]),
    )
    decision = record["decision"]
    return evidence, Gate(**record["rules"]), Decision(decision["promote"], tuple(decision["reasons"]))
