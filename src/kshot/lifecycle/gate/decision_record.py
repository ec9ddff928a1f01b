"""A decision as plain JSON, with everything needed to decide again later."""

from dataclasses import asdict
from typing import Any

from kshot.errors import RegistryError
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.gate.gate_rules import Comparison, Decision, Evidence, Finding, rules_as_recorded
from kshot.lifecycle.gate.gate_text import reasons
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval

# Format 1, not named in its records: reasons are sentences, in the order of a mapping, which JSON does not preserve;
#    all intervals are Student's t; compared with the champion alone (read by kshot.lifecycle.gate.first_decisions).
# Format 2: findings are facts, with sentences for people next to them.
FORMAT = 2


def to_json(evidence: Evidence, rules: Gate, decision: Decision) -> dict[str, Any]:
    """The record of a decision. NaN (an interval's end from a single episode) becomes null."""
    decided = {**asdict(decision), "reasons": reasons(evidence, decision.findings)}
    found = asdict(evidence)
    if evidence.galleries is None:
        del found["galleries"]  # as in records from before galleries were compared
    parts = {"evidence": found, "rules": rules_as_recorded(rules), "decision": decided}
    record: dict[str, Any] = {"format": FORMAT, **_without_nan(parts)}
    return record


def from_json(record: dict[str, Any]) -> tuple[Evidence, Gate, Decision]:
    """The inverse of `to_json`. Raises RegistryError for a format that this version of kshot does not know."""
    if format_of(record) != FORMAT:
        raise RegistryError(
            f"the decision is recorded in format {format_of(record)}, and this kshot reads {FORMAT}: "
            "read it with the version of kshot that wrote it, or a newer one"
        )
    found, decided = record["evidence"], record["decision"]
    evidence = Evidence(
        accuracy=_intervals(found["accuracy"]),
        champion=found["champion"],
        comparisons=tuple(_comparison(one) for one in found["comparisons"]),
        notes=tuple(found["notes"]),
        galleries=None if found.get("galleries") is None else tuple(_gallery(one) for one in found["galleries"]),
    )
    findings = tuple(
        Finding(**{**one, "change": None if one["change"] is None else _change(one["change"])})
        for one in decided["findings"]
    )
    return evidence, Gate(**record["rules"]), Decision(decided["promote"], findings)


def format_of(record: dict[str, Any]) -> int:
    """The number of the record's format."""
    return int(record.get("format", 1))


def same_facts(one: Decision, other: Decision) -> bool:
    """Whether two decisions agree on promotion and have the same findings, in any order."""
    facts = [sorted(map(repr, map(_without_nan, map(asdict, decision.findings)))) for decision in (one, other)]
    return one.promote == other.promote and facts[0] == facts[1]


def _comparison(found: dict[str, Any]) -> Comparison:
    return Comparison(
        version=found["version"],
        role=found["role"],
        difference=_intervals(found["difference"]),
        groups=tuple(_change(one) for one in found["groups"]),
        classes=tuple(_change(one) for one in found["classes"]),
    )


def _gallery(found: dict[str, Any]) -> GalleryEvidence:
    return GalleryEvidence(**{**found, "counts": tuple((a, b, c, d) for a, b, c, d in found["counts"])})


def _change(found: dict[str, Any]) -> Change:
    return Change(**{**found, "difference": _interval(found["difference"])})


def _intervals(found: dict[str, list[float | None]]) -> dict[str, Interval]:
    return {name: _interval(values) for name, values in found.items()}


def _interval(values: list[float | None]) -> Interval:
    return Interval(*(float("nan") if value is None else value for value in values))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value
