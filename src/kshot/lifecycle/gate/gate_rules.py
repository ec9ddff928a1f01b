"""Decides whether a model may replace the champion: a pure function of the evidence and the rules."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kshot.lifecycle.gate.change import ROUNDING, Change, certainly_lost, worst_first
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval

CHAMPION, BEST, FIXED = "champion", "best champion", "reference"  # role of the version compared with
MIN_ACCURACY, NON_INFERIORITY, NOT_WORSE = "min_accuracy", "non_inferiority", "not_significantly_worse"
GROUP_DROP, CLASS_DROP = "max_group_drop", "max_class_drop"
# By gate.gallery_loss: a gallery that lost more than gate.gallery_margin refuses the model, or asks for a person.
GALLERY_REFUSES, GALLERY_WAITS = "gallery_margin", "gallery_margin_waits"


@dataclass(frozen=True)
class Comparison:
    """The challenger against one version on the same test episodes.

    role        CHAMPION, BEST (the best champion on these episodes) or FIXED (set by gate.reference)
    difference  protocol to challenger - version, paired episode by episode; BEST has only the protocols it is best on
    groups      by group on gate.group_protocol, () if the classes have no groups
    classes     by class on gate.group_protocol
    """

    version: str
    role: str
    difference: dict[str, Interval]
    groups: tuple[Change, ...] = ()
    classes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The figures that a decision is based on. Their order carries no meaning.

    accuracy     protocol to the challenger's accuracy
    champion     the version that it would replace, None for the first model
    comparisons  with the champion and with other versions that gate.reference names
    notes        what a person should know besides the figures
    galleries    of `kshot serve`, under the champion and the challenger; None if gate.gallery_margin is null
    """

    accuracy: dict[str, Interval]
    champion: str | None = None
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    galleries: tuple[GalleryEvidence, ...] | None = None


@dataclass(frozen=True)
class Finding:
    """Whether one rule holds, and the figures that show it.

    rule      one of the names above
    holds     whether it does; true for a group or class whose loss is not significant
    protocol  the protocol that the rule was applied to
    limit     the setting's value, a share
    value     the challenger's accuracy, for MIN_ACCURACY
    change    the change that is judged, for a rule that compares
    against   role and version of the model compared with, '' for none
    family    how many groups, classes or galleries were tested together, 0 for other rules
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
        """Whether this finding alone refuses the model; a class that lost accuracy is only a warning."""
        return not self.holds and self.rule not in (CLASS_DROP, GALLERY_WAITS)


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and what every rule found; `kshot.lifecycle.gate.gate_text.reasons` renders it as text."""

    promote: bool
    findings: tuple[Finding, ...]

    @property
    def waits(self) -> bool:
        """Whether a promotion needs a person, whatever gate.approval is."""
        return any(one.rule == GALLERY_WAITS and not one.holds for one in self.findings)


def decide(evidence: Evidence, rules: Gate) -> Decision:
    """Promote if no rule refuses. Raises KeyError for evidence that lacks a protocol or the galleries of the rules."""
    findings = _enough(evidence, rules)
    for comparison in _ordered(evidence.comparisons):
        findings += _against(comparison, evidence, rules)
        findings += _drops(GROUP_DROP, named(comparison), comparison.groups, rules.max_group_drop)
        if comparison.role == CHAMPION:
            findings += _drops(CLASS_DROP, named(comparison), comparison.classes, rules.max_class_drop)
    if rules.gallery_margin is not None and evidence.champion is not None:
        findings += _galleries(evidence, rules.gallery_margin, rules.gallery_loss == "refuse")
    return Decision(not any(one.refuses for one in findings), tuple(findings))


def _ordered(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return sorted(comparisons, key=lambda one: (one.role != CHAMPION, one.role, len(one.version), one.version))


def _enough(evidence: Evidence, rules: Gate) -> list[Finding]:
    findings = []
    for protocol in ordered_protocols(rules.floors):
        mean, least = evidence.accuracy[protocol].mean, rules.floors[protocol]
        findings.append(Finding(MIN_ACCURACY, mean >= least - ROUNDING, protocol, least, value=mean))
    return findings


def _against(comparison: Comparison, evidence: Evidence, rules: Gate) -> list[Finding]:
    """Both rules on the paired difference, protocol by protocol.

    A version may lack protocols: the best is so on some only, and a memory network answers no more classes than it has
    labels. If it answered none of the gate's, the easiest common protocol is judged. A single common episode has no
    interval (NaN): it cannot show that the model is significantly worse, nor that it is not inferior.
    """
    findings, margin = [], rules.non_inferiority_margin
    protocols = [name for name in ordered_protocols(rules.floors) if name in comparison.difference]
    if not protocols and comparison.role != BEST:
        protocols = ordered_protocols(comparison.difference)[:1]
    for protocol in protocols:
        interval = comparison.difference[protocol]
        new = evidence.accuracy[protocol].mean
        change = Change(protocol, "", new - interval.mean, new, interval, 0)
        for rule, holds, limit in (
            (NON_INFERIORITY, interval.low >= -margin - ROUNDING, margin),
            (NOT_WORSE, rules.significantly_worse == "allow" or not interval.high < 0, 0.0),
        ):
            findings.append(Finding(rule, holds, protocol, limit, change=change, against=named(comparison)))
    return findings


def _galleries(evidence: Evidence, limit: float, refuses: bool) -> list[Finding]:
    """As groups, over all galleries together: a gallery has a few classes, so that its interval is wide."""
    if evidence.galleries is None:
        raise KeyError("galleries")
    changes = [change for one in evidence.galleries if (change := one.change()) is not None]
    return _drops(GALLERY_REFUSES if refuses else GALLERY_WAITS, f"{CHAMPION} {evidence.champion}", changes, limit)


def _drops(rule: str, against: str, changes: Sequence[Change], limit: float) -> list[Finding]:
    """One finding for each change that lost more than the limit, worst first; if none did, for the worst alone."""
    ordered = worst_first(changes)
    certain = certainly_lost(ordered, limit)
    lost = [-change.difference.mean > limit + ROUNDING for change in ordered]
    return [
        Finding(rule, not certain[place], change.protocol, limit, None, change, against, len(ordered))
        for place, change in enumerate(ordered)
        if lost[place] or (place == 0 and rule != CLASS_DROP)
    ]


def named(comparison: Comparison) -> str:
    """The model compared with, as text: "champion 3"."""
    return f"{comparison.role} {comparison.version}"


def ordered_protocols(names: Iterable[str]) -> list[str]:
    """Protocols in their fixed order, with numbers sorted by value: 5w1s, 5w5s, 20w1s."""
    return sorted(names, key=lambda name: [(len(part), part) for part in re.split(r"(\d+)", name)])


def percent(share: float) -> str:
    """A share as text: 98.61 %."""
    return f"{100 * share:.2f} %"


def points(difference: float, unit: str = " pp") -> str:
    """A difference of shares in percentage points: +0.12 pp."""
    return f"{100 * difference:+.2f}{unit}"


def rules_as_recorded(rules: Gate) -> dict[str, Any]:
    """The rules as plain values; without those about galleries if they are off, so that older records stay the same."""
    found = asdict(rules)
    if rules.gallery_margin is None:
        del found["gallery_margin"], found["gallery_loss"]
    return found


def rules_hash(rules: Gate) -> str:
    """16 hex digits of the rules; settings about approval are not included."""
    return rules_digest(rules_as_recorded(rules))


def rules_digest(rules: dict[str, Any]) -> str:
    """`rules_hash` for the rules in a record of any format."""
    kept = {key: value for key, value in rules.items() if not key.startswith("approval")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
