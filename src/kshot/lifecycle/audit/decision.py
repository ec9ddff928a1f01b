"""Does the decision follow from its evidence by its rules, and does the history explain the aliases as they stand?"""

import hashlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.errors import RegistryError
from kshot.lifecycle import decision_record, first_decisions, gate, kept_answers
from kshot.lifecycle.audit import results
from kshot.lifecycle.audit.link import Broken, NotChecked, NotRecorded
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.carrying_out import DECISIONS, OF_THE_REPLACED
from kshot.lifecycle.events import CHAMPION, MOVED_OUTSIDE, PROMOTED, REFUSED, WAITING, Event, minute, reigns, verify
from kshot.lifecycle.paired import Results, differences, group_changes, read_results
from kshot.lifecycle.tables import counted

DECIDES = {PROMOTED: True, WAITING: True, REFUSED: False}  # events of the gate, and what the evidence must say for each


def decision(subject: Subject) -> str:
    """The evidence follows from kept answers, the gate's decision from it, and the tags from the events."""
    events = _events(subject)
    if not events:
        if word := subject.tags.get("kshot.decision"):
            raise Broken("the version says that it was decided about, and the history does not", "no event", word)
        if subject.aliases.get(CHAMPION) == subject.version:
            raise Broken("the version is champion by no decision: its alias was moved outside kshot")
        raise NotRecorded("nobody has decided about it yet")
    judged = next((event for event in reversed(events) if event.action in DECIDES), None)
    words, whole = _judged(subject, judged) if judged is not None else ("the gate was not asked", True)
    last = events[-1]
    if last.action == MOVED_OUTSIDE:
        raise Broken(
            f"it became champion by no decision: {last.why.removeprefix('found: ')}, outside kshot; "
            "`kshot rollback` or `kshot promote` makes it a decision",
            recorded="no decision",
            found=str(last),
        )
    word = subject.tags.get("kshot.decision", "")
    if word != DECISIONS[last.action] and word not in OF_THE_REPLACED.values():
        raise Broken("the version says another decision than its last event", DECISIONS[last.action], word or "nothing")
    if last is not judged:
        words += f"; then {last.action} by {last.who}, {minute(last.when)}: {last.why}"
    if not whole:
        raise NotChecked(words)
    return words


def history(subject: Subject) -> str:
    """The chain of events is whole and leaves the aliases where they stand; the times that this version served."""
    if subject.record is None:
        raise RegistryError(subject.trouble)
    problems = verify(subject.record.events, subject.aliases)
    if problems:
        raise Broken(
            "; ".join(problems),
            standing(subject.record.last.after if subject.record.last else {}),
            standing(subject.aliases),
        )
    times = [
        f"{minute(reign.since.isoformat())} to {minute(reign.until.isoformat()) if reign.until else 'now'}"
        for reign in reigns(subject.record.events)
        if reign.version == subject.version
    ]
    return f"{counted(len(subject.record.events), 'event')}, each with the hash of the one before; " + (
        f"champion {', '.join(times)}" if times else "never champion"
    )


def standing(aliases: dict[str, str]) -> str:
    """Aliases in words."""
    return ", ".join(f"{alias} is version {version}" for alias, version in sorted(aliases.items())) or "no alias"


def _events(subject: Subject) -> list[Event]:
    """The events that decided about this version, and those that made it champion without a decision."""
    if subject.record is None:
        raise RegistryError(subject.trouble)
    return [
        event
        for event in subject.record.events
        if event.version == subject.version
        and (event.action != MOVED_OUTSIDE or event.before.get(CHAMPION) != event.after.get(CHAMPION))
    ]


def _judged(subject: Subject, event: Event) -> tuple[str, bool]:
    """The event in words, and whether all of its evidence could be checked."""
    record = _record(subject, event)
    for name, value in record.get("about", {}).items():
        if subject.tags.get(f"kshot.{name}") != value:
            raise Broken(f"{event} is about a version with another {name}", value, subject.tags.get(f"kshot.{name}"))
    if (hashed := gate.rules_digest(record["rules"])) != event.rules:
        raise Broken(f"the rules kept with {event} have not the hash that it names", event.rules, hashed)
    evidence, protocol = _decided_again(event, record)
    results.compare("the evidence", dict(evidence.accuracy.items()), results.means(_episodes(subject)))
    compared, whole = _compared(subject, evidence, protocol, record.get("answered_anew"))
    words = f"{event.action} by the gate, {minute(event.when)}: decided again from the evidence, the same; {compared}"
    return words, whole


def _decided_again(event: Event, record: dict[str, Any]) -> tuple[gate.Evidence, str]:
    """The evidence, and the protocol that groups were judged by. Raises Broken where it does not give the decision."""
    if decision_record.format_of(record) == 1:
        evidence, protocol = decision_record.first_evidence(record["evidence"]), first_decisions.follows(record)
        if protocol is None or record["decision"]["promote"] != DECIDES[event.action]:
            raise Broken(
                f"{event} does not follow from its evidence by its rules",
                "promote" if DECIDES[event.action] else "refuse",
                " | ".join(record["decision"]["reasons"]),
            )
        return evidence, protocol
    evidence, rules, decided = decision_record.from_json(record)
    again = gate.decide(evidence, rules)
    if not decision_record.same_facts(again, decided) or again.promote != DECIDES[event.action]:
        raise Broken(
            f"{event} does not follow from its evidence by its rules",
            f"{'promote' if DECIDES[event.action] else 'refuse'}: {' | '.join(decided.reasons)}",
            f"{'promote' if again.promote else 'refuse'}: {' | '.join(again.reasons)}",
        )
    return evidence, rules.group_protocol


def _record(subject: Subject, event: Event) -> dict[str, Any]:
    """The evidence, rules and decision of an event, from the file whose sha256 the event names."""
    if event.proof is None:
        raise Broken(f"{event} names no file with its evidence")
    text = subject.file(event.proof.file).read_bytes()
    found = hashlib.sha256(text).hexdigest()
    if found != event.proof.sha256:
        raise Broken(f"{event.proof.file}, the evidence of {event}, was changed", event.proof.sha256, found)
    newest = hashlib.sha256(subject.file("decision.json").read_bytes()).hexdigest()
    if newest != event.proof.sha256:
        raise Broken(
            f"decision.json of run {subject.run_id} is not what {event} decided; "
            f"{event.proof.file} of the run is as it was",
            event.proof.sha256,
            newest,
        )
    record: dict[str, Any] = json.loads(text)
    return record


def _episodes(subject: Subject) -> pd.DataFrame:
    return pd.read_parquet(results.answers(subject) / results.EPISODES)


def _compared(
    subject: Subject, evidence: gate.Evidence, protocol: str, anew: dict[str, str] | None
) -> tuple[str, bool]:
    """The paired differences follow from what both models answered, where it is kept; False elsewhere."""
    if evidence.champion is None:
        return "there was no champion to compare with", True
    ours = read_results(results.answers(subject))
    theirs = _anew(subject, anew) if anew else _of_its_run(subject, evidence.champion)
    if theirs is None:
        return (
            f"not checked are the differences to champion {evidence.champion}: it was made on other data and "
            "answered anew then, and those answers are not kept",
            False,
        )
    found = differences(ours.episodes, theirs.episodes)
    groups = group_changes(ours.groups, theirs.groups, protocol)
    results.compare(f"the difference to champion {evidence.champion}", dict((evidence.difference or {}).items()), found)
    if not _same_groups(groups, evidence.groups):
        raise Broken("the groups' accuracies in the evidence do not follow from what both models answered")
    how = "its own answers and those that the champion gave anew" if anew else "both runs' answers"
    return f"the differences to champion {evidence.champion} follow from {how}", True


def _same_groups(one: tuple[gate.GroupChange, ...], other: tuple[gate.GroupChange, ...]) -> bool:
    """Whether both name the same groups with the same accuracies, in whatever order."""
    first, second = ({change.group: (change.champion, change.challenger) for change in some} for some in (one, other))
    return first.keys() == second.keys() and all(
        math.isclose(was, now, rel_tol=0, abs_tol=results.EXACT)
        for name in first
        for was, now in zip(first[name], second[name], strict=True)
    )


def _anew(subject: Subject, kept: dict[str, str]) -> Results:
    """What the champion answered to be compared with this model, from this model's run."""
    try:
        return kept_answers.read(subject.file(kept["folder"]), kept)
    except (OSError, ValueError) as error:
        raise Broken(f"what the champion answered anew is not as it was kept: {error}") from error


def _of_its_run(subject: Subject, version: str) -> Results | None:
    """What the champion's run holds, None where it answered other episodes."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            champion = opened(subject.root, version, Path(scratch))
        except RegistryError as error:
            raise Broken(f"champion {version}, which it was compared with, is gone: {error}") from error
        if any(
            subject.tags.get(tag) != champion.tags.get(tag) for tag in ("kshot.data_version", "kshot.episodes_hash")
        ):
            return None
        return read_results(results.answers(champion))
