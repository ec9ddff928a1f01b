"""A decision as plain JSON: everything needed to decide again later."""

from dataclasses import asdict
from typing import Any

from kshot.errors import RegistryError
from kshot.lifecycle.gate import Decision, Evidence, Finding, GroupChange
from kshot.params import Gate
from kshot.statistics import Interval

# 1, which records do not name: reasons as sentences, in the order of a mapping that JSON does not keep
#    (kshot.lifecycle.first_decisions reads them). 2: findings as facts, the sentences beside them for people.
FORMAT = 2


def to_json(evidence: Evidence, rules: Gate, decision: Decision) -> dict[str, Any]:
    """The record of a decision. Numbers that are none (an end that one episode alone does not have) become null."""
    parts = {"evidence": asdict(evidence), "rules": asdict(rules), "decision": asdict(decision)}
    record: dict[str, Any] = {"format": FORMAT, **_without_nan(parts)}
    return record


def from_json(record: dict[str, Any]) -> tuple[Evidence, Gate, Decision]:
    """What `to_json` was given. Raises RegistryError for a format that this version does not know."""
    if format_of(record) != FORMAT:
        raise RegistryError(
            f"the decision is recorded in format {format_of(record)}, and this kshot reads {FORMAT}: "
            "read it with the version of kshot that wrote it, or a newer one"
        )
    decided = record["decision"]
    findings = tuple(
        Finding(**{**one, "interval": None if one["interval"] is None else _interval(one["interval"])})
        for one in decided["findings"]
    )
    decision = Decision(decided["promote"], findings, tuple(decided["reasons"]))
    return _evidence(record["evidence"]), Gate(**record["rules"]), decision


def first_evidence(found: dict[str, Any]) -> Evidence:
    """The evidence of a record of format 1."""
    return _evidence(found)


def _evidence(found: dict[str, Any]) -> Evidence:
    return Evidence(
        accuracy=_intervals(found["accuracy"]),
        champion=found["champion"],
        difference=None if found["difference"] is None else _intervals(found["difference"]),
        groups=tuple(GroupChange(**change) for change in found["groups"]),
        notes=tuple(found["notes"]),
    )


def format_of(record: dict[str, Any]) -> int:
    """The number of the record's format."""
    return int(record.get("format", 1))


def same_facts(one: Decision, other: Decision) -> bool:
    """Whether two decisions promote alike for the same findings, whatever their sentences and their order."""
    facts = [sorted(map(repr, map(_without_nan, map(asdict, decision.findings)))) for decision in (one, other)]
    return one.promote == other.promote and facts[0] == facts[1]


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
