"""Decides whether a model may replace the champion: a pure function of the evidence and the rules."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kshot.lifecycle.gate.change import ROUNDING, Change, certainly_lost, worst_first
from kshot.params.schema import Gate
from kshot.statistics import Interval

CHAMPION, BEST, FIXED = "champion", "best champion", "reference"  # roles of a version that is compared with
MIN_ACCURACY, NON_INFERIORITY, NOT_WORSE = "min_accuracy", "non_inferiority", "not_significantly_worse"
GROUP_DROP, CLASS_DROP = "max_group_drop", "max_class_drop"


@dataclass(frozen=True)
class Comparison:
    """The challenger against one version on the same test episodes.

    role        CHAMPION, BEST (the best champion of these episodes) or FIXED (by gate.reference)
    difference  protocol to challenger - version, paired episode by episode; a reference has those it is asked for
    groups      by group on gate.group_protocol, () where the classes have no groups
    classes     by class on gate.group_protocol
    """

    version: str
    role: str
    difference: dict[str, Interval]
    groups: tuple[Change, ...] = ()
    classes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The figures that a decision rests on. Order carries no meaning in them.

    accuracy     protocol to the challenger's accuracy
    champion     the version that it would replace, None for the first model
    comparisons  against the champion and against other versions that gate.reference asks for
    notes        what a person should know beside the figures
    """

    accuracy: dict[str, Interval]
    champion: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Whether one rule holds, and by which figures.

    rule      one of the names above
    holds     whether it does; a group or class whose loss is not certain holds
    protocol  the protocol that was asked
    limit     the setting's value, a share
    value     the challenger's accuracy, for MIN_ACCURACY
    change    of a rule that compares: the change that it judges
    against   role and version of the model that is compared with, '' for none
    family    how many groups or classes were tested together, 0 for other rules
    """

    rule: str
    holds: bool
    protocol: str
    limit: float
    value: float | None = None
    change: Change | None = None
    against: str = ""
    family: int = 0

    @property
    def refuses(self) -> bool:
        """Whether this finding alone refuses the model; a class that lost is a warning."""
        return not self.holds and self.rule != CLASS_DROP


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and what every rule found; `kshot.lifecycle.gate.gate_text.reasons` makes sentences of it."""

    promote: bool
    findings: tuple[Finding, ...]


def decide(evidence: Evidence, rules: Gate) -> Decision:
    """Promote if no rule refuses. Raises KeyError for evidence that lacks a protocol of the rules."""
    findings = _enough(evidence, rules)
    for comparison in _ordered(evidence.comparisons):
        findings += _against(comparison, evidence, rules)
        findings += _drops(GROUP_DROP, comparison, comparison.groups, rules.max_group_drop)
        if comparison.role == CHAMPION:
            findings += _drops(CLASS_DROP, comparison, comparison.classes, rules.max_class_drop)
    return Decision(not any(one.refuses for one in findings), tuple(findings))


def _ordered(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return sorted(comparisons, key=lambda one: (one.role != CHAMPION, one.role, len(one.version), one.version))


def _enough(evidence: Evidence, rules: Gate) -> list[Finding]:
    findings = []
    for protocol in ordered_protocols(rules.min_accuracy):
        mean, least = evidence.accuracy[protocol].mean, rules.min_accuracy[protocol]
        findings.append(Finding(MIN_ACCURACY, mean >= least - ROUNDING, protocol, least, value=mean))
    return findings


def _against(comparison: Comparison, evidence: Evidence, rules: Gate) -> list[Finding]:
    """Both rules on the paired difference, protocol by protocol."""
    findings, margin = [], rules.non_inferiority_margin
    for protocol in ordered_protocols(rules.min_accuracy):
        if comparison.role == BEST and protocol not in comparison.difference:
            continue  # another version, or the champion, is the best there
        interval = comparison.difference[protocol]
        new = evidence.accuracy[protocol].mean
        change = Change(protocol, "", new - interval.mean, new, interval, 0)
        for rule, holds, limit in (
            (NON_INFERIORITY, interval.low >= -margin - ROUNDING, margin),
            (NOT_WORSE, rules.significantly_worse == "allow" or interval.high >= 0, 0.0),
        ):
            findings.append(Finding(rule, holds, protocol, limit, change=change, against=named(comparison)))
    return findings


def _drops(rule: str, comparison: Comparison, changes: Sequence[Change], limit: float) -> list[Finding]:
    """A finding for each that lost more than the limit, the worst first; of the worst alone where none did."""
    ordered = worst_first(changes)
    certain = certainly_lost(ordered, limit)
    lost = [-change.difference.mean > limit + ROUNDING for change in ordered]
    return [
        Finding(rule, not certain[place], change.protocol, limit, None, change, named(comparison), len(ordered))
        for place, change in enumerate(ordered)
        if lost[place] or (place == 0 and rule == GROUP_DROP)
    ]


def named(comparison: Comparison) -> str:
    """The model that is compared with: "champion 3"."""
    return f"{comparison.role} {comparison.version}"


def ordered_protocols(names: Iterable[str]) -> list[str]:
    """Protocols in their one order, numbers by their value: 5w1s, 5w5s, 20w1s."""
    return sorted(names, key=lambda name: [(len(part), part) for part in re.split(r"(\d+)", name)])


def percent(share: float) -> str:
    """A share as a person reads it: 98.61 %."""
    return f"{100 * share:.2f} %"


def points(difference: float, unit: str = " pp") -> str:
    """A difference of shares in percentage points: +0.12 pp."""
    return f"{100 * difference:+.2f}{unit}"


def rules_hash(rules: Gate) -> str:
    """16 hex digits of the rules; the settings about approval are none."""
    return rules_digest(asdict(rules))


def rules_digest(rules: dict[str, Any]) -> str:
    """`rules_hash` of the rules as a record of any format holds them."""
    kept = {key: value for key, value in rules.items() if not key.startswith("approval")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
