"""Gathers the changes from the champion to its challenger, from both runs' records, for the change plan."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.gate import change_plan
from kshot.lifecycle.gate.change_plan import ELSEWHERE, NOTHING, SOURCE, ChangePlan, PlannedChange
from kshot.lifecycle.gate.judgements import is_judgement, last_judgement, record_of, run_text
from kshot.lifecycle.history.events import APPROVED, PROMOTED_BY_HAND, Event
from kshot.lifecycle.registry.model_versions import Registered
from kshot.load_yaml import load_yaml
from kshot.params.renamed import migrate

DATA = "kshot.data_version"
UNKNOWN = "unknown"  # the source of a data version that is not in the ledger
APART = ("gate", "project", "kshot")  # sections of params.yaml: rules are compared as they were applied


def gather(
    root: Path, ours: Registered, champion: Registered, before: Sequence[Event], rules: Mapping[str, Any]
) -> tuple[PlannedChange, ...]:
    """The differences of settings, rules and data source, by name.

    before  the events before the decision: the champion's rules are those of the gate's last event about it
    rules   of this decision
    Raises RegistryError for a record that is gone.
    """
    new, old = (_settings(root, one.run_id) for one in (ours, champion))
    rules_before = record_of(root, last_judgement(before, champion.version)).get("rules")
    if rules_before is not None:
        new |= dict(_flat(_plain(rules), "gate."))
        old |= dict(_flat(rules_before, "gate."))
    changes = [
        PlannedChange(name, old.get(name, NOTHING), new.get(name, NOTHING))
        for name in sorted(new.keys() | old.keys())
        if name not in new or name not in old or new[name] != old[name]
    ]
    if ours.tags.get(DATA) != champion.tags.get(DATA):
        changes += source_changes(data_versions.versions(root), champion.tags.get(DATA, ""), ours.tags.get(DATA, ""))
    return tuple(changes)


def source_changes(ledger: Sequence[DataVersion], champion: str, ours: str) -> list[PlannedChange]:
    """The change of the source from the data version `champion` to `ours`, and one for each version below `ours`.

    A version that was made from another one, with logged requests or without erased images, has its images: its sources
    are those of both. A source that had another address when the champion was trained is another one.
    """
    known = {one.md5: one for one in ledger}
    before, after = (_with_bases(known, md5) for md5 in (champion, ours))
    addresses: dict[str, set[str]] = {}
    for one in before:
        addresses.setdefault(one.source, set()).add(one.address)
    then = before[0].source if before else UNKNOWN
    changes = []
    for one in after:
        if one.md5 == champion:
            break
        seen = addresses.get(one.source, {""})
        moved = bool(one.address) and one.address not in seen and "" not in seen
        changes.append(PlannedChange(SOURCE, then, f"{one.source}{ELSEWHERE}" if moved else one.source))
    return list(dict.fromkeys(changes)) or [PlannedChange(SOURCE, then, UNKNOWN)]


def _with_bases(known: Mapping[str, DataVersion], md5: str) -> list[DataVersion]:
    """The version, and those that it was made from, newest first."""
    found: dict[str, DataVersion] = {}
    while md5 in known and md5 not in found:
        found[md5] = known[md5]
        md5 = known[md5].base
    return list(found.values())


def in_force(root: Path, events: Sequence[Event]) -> ChangePlan | None:
    """The plan in force after these events, None if nothing was judged by one.

    It is the one of the last version that a person approved or promoted; before that, the first that a version was
    judged by. The gate's own promotion brings no other plan into force, so that nobody widens it in two steps.
    Raises RegistryError for a record that is gone.
    """
    judged = [place for place, one in enumerate(events) if is_judgement(one)]
    if not judged:
        return None
    last = _recorded(root, events[judged[-1]])
    found = (last["before"] or last if "before" in last else last)["text"] if last else None
    for event in events[judged[-1] + 1 :]:
        if event.action in (APPROVED, PROMOTED_BY_HAND) and (part := _recorded(root, event)):
            found = part["text"]
    return change_plan.parse(found) if found is not None else None


def judged_by(root: Path, version: str, events: Sequence[Event]) -> Mapping[str, Any]:
    """The part of the record of the gate's last event about the version that is about the plan, {} if it has none."""
    return _recorded(root, last_judgement(events, version))


def _recorded(root: Path, event: Event | None) -> Mapping[str, Any]:
    return record_of(root, event).get("change_plan") or {}


def _settings(root: Path, run_id: str) -> dict[str, Any]:
    """Dotted name to value in the params.yaml that the run stores, by the names of today."""
    found = load_yaml(run_text(root, run_id, "params.yaml"))
    mapping = {name: section for name, section in migrate(found).items() if name not in APART}
    return dict(_flat(_plain(mapping)))


def _plain(value: Any) -> Any:
    """The value as JSON has it, so that it is the same when it is read from a decision's record."""
    return json.loads(json.dumps(value, default=str))


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
