"""Checks decisions recorded in format 1: reasons are sentences, group rules use the first protocol of a mapping.

Intervals are Student's t, groups are compared unpaired, and only with the champion.

The record was written with sorted keys, so the order of `gate.min_accuracy` is lost. A record holds if its sentences,
in any order, result from some protocol as the first. Nothing writes this format any more.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.lifecycle.gate.change import ROUNDING
from kshot.lifecycle.gate.gate_rules import percent, points
from kshot.statistics import Interval, t_interval


def follows(record: dict[str, Any]) -> str | None:
    """The protocol that the groups were judged by if the decision follows from its evidence; None if it does not."""
    recorded = record["decision"]
    for protocol in record["rules"]["min_accuracy"]:
        promote, reasons = decided(record["evidence"], record["rules"], protocol)
        if promote == recorded["promote"] and Counter(reasons) == Counter(recorded["reasons"]):
            return str(protocol)
    return None


def read_groups(path: Path) -> pd.DataFrame:
    """Read a groups.csv; a group without a name stays ''."""
    return pd.read_csv(path, dtype={"group": str, "protocol": str}, keep_default_na=False)


def means(table: pd.DataFrame) -> dict[str, Interval]:
    """The mean and interval of each protocol's episodes, as kshot computed them before format 2."""
    return {str(name): t_interval(part["accuracy"]) for name, part in table.groupby("protocol", sort=False)}


def differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, Interval]:
    """Protocol to the paired difference ours - theirs over the episodes that both predicted."""
    both = ours.merge(theirs, on=["protocol", "episode"], suffixes=("_ours", "_theirs"))
    return {
        str(name): t_interval(part["accuracy_ours"] - part["accuracy_theirs"])
        for name, part in both.groupby("protocol", sort=False)
    }


def groups(ours: pd.DataFrame, theirs: pd.DataFrame, protocol: str) -> dict[str, tuple[float, float]]:
    """Accuracies of champion and challenger by group, for the groups that both have."""
    tables = (table[table["protocol"] == protocol] for table in (ours, theirs))
    both = next(tables).merge(next(tables), on="group", suffixes=("_ours", "_theirs"))
    return {
        str(row["group"]): (float(row["accuracy_theirs"]), float(row["accuracy_ours"]))
        for row in both.to_dict("records")
    }


def decided(evidence: dict[str, Any], rules: dict[str, Any], first: str) -> tuple[bool, list[str]]:
    """Whether to promote and the sentences, as kshot gave them before format 2."""
    results = _enough(evidence, rules)
    if evidence["champion"] is not None:
        results += _not_worse(evidence, rules) + _group_words(evidence, rules, first)
    reasons = [reason for _, reason in results] + evidence["notes"]
    if evidence["champion"] is None:
        reasons.append("there is no champion yet to compare with")
    return all(holds for holds, _ in results), reasons


def _enough(evidence: dict[str, Any], rules: dict[str, Any]) -> list[tuple[bool, str]]:
    results = []
    for protocol, least in rules["min_accuracy"].items():
        mean = evidence["accuracy"][protocol][0]
        holds = mean >= least - ROUNDING
        word = "reaches" if holds else "is below"
        results.append((holds, f"{protocol} accuracy {percent(mean)} {word} the least allowed, {percent(least)}"))
    return results


def _not_worse(evidence: dict[str, Any], rules: dict[str, Any]) -> list[tuple[bool, str]]:
    results, margin = [], rules["non_inferiority_margin"]
    for protocol in rules["min_accuracy"]:
        mean, low, high = evidence["difference"][protocol]
        holds = low >= -margin - ROUNDING
        word = "stays above" if holds else "reaches below"
        differs = f"{points(mean)} [{points(low, '')}, {points(high, '')}]"
        results.append(
            (
                holds,
                f"{protocol} differs from champion {evidence['champion']} by {differs}, which {word} the margin of "
                f"{points(-margin)}",
            )
        )
    return results


def _group_words(evidence: dict[str, Any], rules: dict[str, Any], protocol: str) -> list[tuple[bool, str]]:
    found, most = evidence["groups"], rules["max_group_drop"]
    if not found:
        return []
    allowed = f"the {100 * most:.2f} pp allowed"
    lost = [change for change in found if _drop(change) > most + ROUNDING]
    if not lost:
        worst = max(found, key=_drop)
        where = repr(worst["group"]) if worst["group"] else "the classes without a group"
        change = f"{where}, {percent(worst['champion'])} to {percent(worst['challenger'])}"
        return [(True, f"no group loses more than {allowed} on {protocol} (the worst: {change})")]
    return [
        (
            False,
            f"{_name(change['group'])} from {percent(change['champion'])} to {percent(change['challenger'])} "
            f"on {protocol}, more than {allowed}",
        )
        for change in lost
    ]


def _drop(change: dict[str, Any]) -> float:
    return float(change["champion"] - change["challenger"])


def _name(group: str) -> str:
    return f"group {group!r} falls" if group else "the classes without a group fall"
