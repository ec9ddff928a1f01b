"""Decides whether a model may replace the champion: a pure function of the evidence and the rules."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from kshot.params import Gate
from kshot.statistics import Interval

ROUNDING = 1e-9  # 0.90 - 0.85 is a little more than 0.05: a figure that meets a rule exactly holds

MIN_ACCURACY, NON_INFERIORITY, GROUP_DROP = "min_accuracy", "non_inferiority", "max_group_drop"
RULES = (MIN_ACCURACY, NON_INFERIORITY, GROUP_DROP)  # the order of findings and of their sentences


@dataclass(frozen=True)
class GroupChange:
    """Accuracies of champion and challenger on one group of classes, in [0, 1]."""

    group: str
    champion: float
    challenger: float


@dataclass(frozen=True)
class Evidence:
    """The figures that a decision rests on. Order carries no meaning in the mappings, nor in `groups`.

    accuracy    protocol to the challenger's accuracy
    champion    the version it is compared with, None for the first model
    difference  protocol to challenger - champion, paired episode by episode
    groups      on gate.group_protocol
    notes       what a person should know beside the figures
    """

    accuracy: dict[str, Interval]
    champion: str | None = None
    difference: dict[str, Interval] | None = None
    groups: tuple[GroupChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Whether one rule holds, and by which figures.

    rule      one of RULES
    holds     whether it does
    protocol  the protocol that was asked
    limit     the setting's value, a share
    value     the challenger's accuracy, or the group's
    before    the champion's accuracy on the group, None for other rules
    interval  challenger - champion with its ends, None for other rules
    against   the version that is compared with, '' for none
    name      the group, '' for the classes without one and for other rules
    """

    rule: str
    holds: bool
    protocol: str
    limit: float
    value: float | None = None
    before: float | None = None
    interval: Interval | None = None
    against: str = ""
    name: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether to promote, a finding a rule and protocol, and the sentences that a person reads, failed rules first."""

    promote: bool
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]


def decide(evidence: Evidence, rules: Gate) -> Decision:
    """Promote if every rule holds.

    Without a champion only gate.min_accuracy is asked. Raises KeyError for evidence that lacks a protocol of the rules.
    """
    findings = _enough(evidence, rules)
    if evidence.champion is not None:
        findings += _not_worse(evidence, rules) + _no_group_left_behind(evidence, rules)
    return Decision(all(finding.holds for finding in findings), tuple(findings), reasons(evidence, findings))


def _enough(evidence: Evidence, rules: Gate) -> list[Finding]:
    findings = []
    for protocol in protocols(rules.min_accuracy):
        mean, least = evidence.accuracy[protocol].mean, rules.min_accuracy[protocol]
        findings.append(Finding(MIN_ACCURACY, mean >= least - ROUNDING, protocol, least, value=mean))
    return findings


def _not_worse(evidence: Evidence, rules: Gate) -> list[Finding]:
    assert evidence.difference is not None and evidence.champion is not None
    margin, findings = rules.non_inferiority_margin, []
    for protocol in protocols(rules.min_accuracy):
        interval = evidence.difference[protocol]
        holds = interval.low >= -margin - ROUNDING
        findings.append(Finding(NON_INFERIORITY, holds, protocol, margin, interval=interval, against=evidence.champion))
    return findings


def _no_group_left_behind(evidence: Evidence, rules: Gate) -> list[Finding]:
    """A finding a group, the one that loses most first."""
    assert evidence.champion is not None
    limit = rules.max_group_drop
    return [
        Finding(
            GROUP_DROP,
            change.champion - change.challenger <= limit + ROUNDING,
            rules.group_protocol,
            limit,
            value=change.challenger,
            before=change.champion,
            against=evidence.champion,
            name=change.group,
        )
        for change in sorted(evidence.groups, key=lambda change: (change.challenger - change.champion, change.group))
    ]


def protocols(names: Iterable[str]) -> list[str]:
    """Protocols in their one order, numbers by their value: 5w1s, 5w5s, 20w1s."""
    return sorted(names, key=lambda name: [(len(part), part) for part in re.split(r"(\d+)", name)])


def reasons(evidence: Evidence, findings: Iterable[Finding]) -> tuple[str, ...]:
    """The findings as sentences, failed rules first and notes last."""
    told = list(findings)
    groups = [finding for finding in told if finding.rule == GROUP_DROP]
    if groups and all(finding.holds for finding in groups):
        told = [finding for finding in told if finding.rule != GROUP_DROP or finding is groups[0]]
    elif groups:
        told = [finding for finding in told if finding.rule != GROUP_DROP or not finding.holds]
    failed = [_sentence(finding) for finding in told if not finding.holds]
    held = [_sentence(finding) for finding in told if finding.holds]
    if evidence.champion is None:
        held.append("no champion yet to compare with")
    return (*failed, *held, *evidence.notes)


def _sentence(finding: Finding) -> str:
    limit = f"{100 * finding.limit:g}"
    if finding.rule == MIN_ACCURACY:
        assert finding.value is not None
        sign = ">=" if finding.holds else "<"
        return f"{finding.protocol} {share_beside(finding.value, finding.limit)} {sign} required {limit} %"
    if finding.rule == NON_INFERIORITY:
        assert finding.interval is not None
        change = f"{finding.protocol}: {change_words(finding.interval, f'champion {finding.against}')}"
        return change if finding.holds else f"{change}; more than {limit} points worse cannot be ruled out"
    assert finding.value is not None and finding.before is not None
    name = f"group {finding.name!r}" if finding.name else "the classes without a group"
    change = f"{name} {percent(finding.before)} to {percent(finding.value)}"
    if finding.holds:
        return f"{finding.protocol}: no group loses more than {limit} points (the worst: {change})"
    return f"{finding.protocol}: {change}, loses more than the {limit} points allowed"


def change_words(interval: Interval, against: str) -> str:
    """A difference in words: "5.5 points better than champion 1 (4.8 to 6.2)", signed where the interval holds 0."""
    mean, low, high = (100 * value for value in interval)
    digits = 1 if high - low >= 1 else 2
    mean, low, high = (round(value, digits) + 0.0 for value in (mean, low, high))  # + 0.0: no "-0.00"
    if math.isnan(low):
        ends = "one episode, no interval"
    else:
        sign = "" if low > 0 else "+"
        ends = f"{low:{sign}.{digits}f} to {high:{sign}.{digits}f}"
    if mean == 0:
        return f"equal to {against} ({ends})"
    return f"{abs(mean):.{digits}f} points {'better' if mean > 0 else 'worse'} than {against} ({ends})"


def share_beside(value: float, limit: float) -> str:
    """A share with the fewest digits that tell it from `limit` on its own side: 81.9 %, 79.996 %."""
    for digits in range(1, 10):
        shown = round(100 * value, digits)
        if (shown < round(100 * limit, 9)) == (value < limit - ROUNDING):
            break
    return f"{shown:.{digits}f} %"


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
