"""Renders the gate's findings as sentences for a person."""

import math
from collections.abc import Iterator, Sequence

from kshot.lifecycle.gate.change import ROUNDING, Change
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.gate.gate_rules import (
    CLASS_DROP,
    GALLERY_REFUSES,
    GALLERY_WAITS,
    GROUP_DROP,
    MIN_ACCURACY,
    NON_INFERIORITY,
    NOT_WORSE,
    Evidence,
    Finding,
)
from kshot.statistics import Interval

NO_INTERVAL = "no interval: one episode"
NAMED = 5  # how many classes, groups or galleries a sentence names
LONGEST = 60  # characters of a gallery's name in a sentence
KINDS = {
    GROUP_DROP: ("group", "groups"),
    CLASS_DROP: ("class", "classes"),
    GALLERY_REFUSES: ("gallery", "galleries"),
    GALLERY_WAITS: ("gallery", "galleries"),
}
# What a loss that is certain leads to, after the names.
ENDS = {
    GROUP_DROP: f"; gate.{GROUP_DROP}",
    CLASS_DROP: "",
    GALLERY_REFUSES: "; gate.gallery_margin",
    GALLERY_WAITS: "; gate.gallery_margin: a person decides",
}
REFUSED, WARNED, HOLDS, UNCERTAIN = range(4)  # the order of the sentences
Ranked = tuple[int, str]


def reasons(evidence: Evidence, findings: Sequence[Finding]) -> tuple[str, ...]:
    """One sentence each: refusals with their setting; certain losses; rules that hold; uncertain losses; notes."""
    ranked = [*_accuracies(findings), *_comparisons(findings), *_all_drops(findings)]
    if evidence.galleries is not None and evidence.champion is not None:
        ranked.append((HOLDS, galleries_text(evidence.galleries)))
    if evidence.champion is None:
        # A note names the champion if there was one.
        ranked.append((HOLDS, f"no champion{'' if evidence.notes else ' yet'} to compare with"))
    ranked.sort(key=lambda pair: pair[0])  # stable: the order of the findings within a rank
    return (*(sentence for _, sentence in ranked), *evidence.notes)


def _accuracies(findings: Sequence[Finding]) -> Iterator[Ranked]:
    for one in findings:
        if one.rule == MIN_ACCURACY:
            yield HOLDS if one.holds else REFUSED, _enough(one)


def _comparisons(findings: Sequence[Finding]) -> Iterator[Ranked]:
    """Both rules on the same difference: one sentence."""
    found = {(one.rule, one.protocol, one.against): one for one in findings}
    for one in findings:
        if one.rule == NON_INFERIORITY:
            other = found[NOT_WORSE, one.protocol, one.against]
            yield HOLDS if one.holds and other.holds else REFUSED, _compared(one, other)


def _all_drops(findings: Sequence[Finding]) -> Iterator[Ranked]:
    """The groups, classes and galleries that lost accuracy, for each rule and each model compared with."""
    for rule in KINDS:
        for against in dict.fromkeys(one.against for one in findings if one.rule == rule):
            drops = [one for one in findings if one.rule == rule and one.against == against]
            certain = [one for one in drops if not one.holds]
            unsure = [one for one in drops if one.holds and _lost(one)]
            if certain:
                rank = REFUSED if any(one.refuses for one in certain) else WARNED
                yield rank, _drops(certain, "for certain more than", ENDS[rule])
            if unsure:
                yield UNCERTAIN, _drops(unsure, "more than", f"; not certain among {unsure[0].family}")
            if not certain and not unsure:
                yield HOLDS, _worst(drops[0])


def _enough(finding: Finding) -> str:
    assert finding.value is not None
    sign = ">=" if finding.holds else "<"
    setting = "" if finding.holds else f" (gate.{MIN_ACCURACY}.{finding.protocol})"
    value = share_beside(finding.value, finding.limit)
    return f"{finding.protocol} {value} {sign} required {_points(finding.limit)} %{setting}"


def _compared(non_inferiority: Finding, not_worse: Finding) -> str:
    assert non_inferiority.change is not None
    text = f"{non_inferiority.protocol}: {difference_text(non_inferiority.change.difference, non_inferiority.against)}"
    if not not_worse.holds:
        text += "; significantly worse (gate.significantly_worse)"
    if not non_inferiority.holds:
        text += (
            f"; more than {_points(non_inferiority.limit)} points worse cannot be ruled out "
            "(gate.non_inferiority_margin)"
        )
    return text


def _drops(findings: Sequence[Finding], how: str, end: str = "") -> str:
    first = findings[0]
    kind = KINDS[first.rule][len(findings) != 1]
    names = ", ".join(change_text(one.change) for one in findings[:NAMED] if one.change is not None)
    more = f", and {len(findings) - NAMED} more" if len(findings) > NAMED else ""
    return (
        f"{_on(first)}{len(findings)} {kind} lost {how} {_points(first.limit)} points against {first.against} "
        f"({names}{more}{end})"
    )


def _worst(finding: Finding) -> str:
    assert finding.change is not None
    return (
        f"{_on(finding)}no {KINDS[finding.rule][0]} lost more than {_points(finding.limit)} points against "
        f"{finding.against} (the worst: {change_text(finding.change)})"
    )


def galleries_text(galleries: Sequence[GalleryEvidence]) -> str:
    """The effect of the new model on the galleries, the worst first, and why some were not compared."""
    if not galleries:
        return "no gallery to compare (gate.gallery_margin)"
    found = [(one, change) for one in galleries if (change := one.change()) is not None]
    found.sort(key=lambda pair: (pair[1].difference.mean, pair[0].gallery))
    each = [f"{change_text(one)} ({100 * one.old:.1f} % -> {100 * one.new:.1f} %)" for _, one in found[:NAMED]]
    left = [f"{_short(one.gallery)} not compared: {one.why}" for one in galleries if one.why][:NAMED]
    more = len(galleries) - len(each) - len(left)
    named = "; ".join([*each, *left, *([f"and {more} more"] if more else [])])
    return f"galleries, each example classified without itself: {named}"


def _on(finding: Finding) -> str:
    return f"{finding.protocol}: " if finding.protocol else ""


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


def change_text(change: Change) -> str:
    """A group or class with its change: "Red-Beet -10.7 points, -15.5 to -5.9"."""
    mean, ends, digits = _rounded(change.difference)
    return f"{_short(change.name) or 'no group'} {mean:+.{digits}f} points, {ends}"


def difference_text(interval: Interval, against: str) -> str:
    """A difference in words: "5.5 points better than champion 1 (4.8 to 6.2)"."""
    mean, ends, digits = _rounded(interval)
    if mean == 0:
        return f"equal to {against} ({ends})"
    return f"{abs(mean):.{digits}f} points {'better' if mean > 0 else 'worse'} than {against} ({ends})"


def _rounded(interval: Interval) -> tuple[float, str, int]:
    """The mean in points, the ends as text, signed unless both are above zero, and the number of decimals."""
    digits = 1 if interval.high - interval.low >= 0.01 else 2
    mean, low, high = (round(100 * value, digits) + 0.0 for value in interval)  # + 0.0: no "-0.0"
    if math.isnan(low):
        return mean, NO_INTERVAL, digits
    sign = "" if low > 0 else "+"
    return mean, f"{low:{sign}.{digits}f} to {high:{sign}.{digits}f}", digits


def share_beside(value: float, limit: float) -> str:
    """A share with the fewest digits that leave it on its side of `limit`: 81.9 %, 79.996 %."""
    for digits in range(1, 10):
        shown = round(100 * value, digits)
        if (shown < round(100 * limit, 9)) == (value < limit - ROUNDING):
            break
    return f"{shown:.{digits}f} %"


def _lost(finding: Finding) -> bool:
    return finding.change is not None and -finding.change.difference.mean > finding.limit + ROUNDING


def _points(share: float) -> str:
    return f"{100 * share:g}"
