"""Checks that a decision's comparisons follow from stored predictions and are with the versions the rules require."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from kshot.errors import DataError, RegistryError
from kshot.lifecycle.audit.links import results
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.gate import gate_rules, reference, stored_predictions
from kshot.lifecycle.gate import paired as pairs
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.history.events import CHAMPION, Event
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.tracking import store
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval


def compared(
    subject: Subject, event: Event, evidence: gate_rules.Evidence, rules: Gate, fresh: dict[str, dict[str, str]]
) -> tuple[str, bool]:
    """Check the evidence against stored predictions: a text, and whether everything could be checked. Raises Broken."""
    unknown = _versions(subject, event, evidence, rules)
    parts, whole = [unknown] if unknown else [], not unknown
    if not evidence.comparisons:
        return "; ".join([*parts, "there was no champion to compare with"]), whole
    ours = pairs.read_results(results.predictions(subject))
    for recorded in evidence.comparisons:
        who = gate_rules.named(recorded)
        if recorded.version in fresh:
            theirs = pairs.Results(**fresh_tables(subject, fresh[recorded.version]))
        else:
            with opponent(subject, recorded.role, recorded.version) as other:
                if other is None:
                    parts.append(
                        f"not checked are the differences to {who}: its predictions for these episodes are gone"
                    )
                    whole = False
                    continue
                theirs = pairs.read_results(results.predictions(other))
        protocols = tuple(recorded.difference) if recorded.role == gate_rules.BEST else ()
        found = pairs.compared(recorded.version, recorded.role, protocols, ours, theirs, rules.group_protocol)
        differences = {name: _with_ends(one) for name, one in recorded.difference.items()}
        results.compare(f"the difference to {who}", differences, found.difference)
        for kind in ("groups", "classes"):
            _same_changes(f"the {kind} compared with {who}", getattr(recorded, kind), getattr(found, kind))
        how = "its own predictions and the recomputed ones" if recorded.version in fresh else "both runs' predictions"
        parts.append(f"the differences to {who} follow from {how}")
    return "; ".join(parts), whole


def fresh_tables(subject: Subject, kept: dict[str, str]) -> dict[str, pd.DataFrame]:
    """Predictions of another version made for this comparison, from this version's run. Raises Broken."""
    folder = subject.file(kept["folder"])
    try:
        return stored_predictions.read(folder, kept)
    except DataError as error:
        raise Broken(f"the recomputed predictions of the champion differ from the stored ones: {error}") from error


@contextmanager
def opponent(subject: Subject, role: str, version: str) -> Iterator[Subject | None]:
    """The other version, None if it predicted other episodes. Raises Broken if it is gone."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = opened(subject.root, version, Path(scratch))
        except store.Unreachable:
            raise
        except RegistryError as error:
            raise Broken(f"{role} {version}, which it was compared with, is gone: {error}") from error
        same = all(subject.tags.get(tag) == found.tags.get(tag) for tag in reference.EPISODES)
        yield found if same else None


def _versions(subject: Subject, event: Event, evidence: gate_rules.Evidence, rules: Gate) -> str:
    """Raise Broken if the versions compared with are not the required ones. Returns text about what is unknown."""
    assert subject.record is not None
    before = subject.record.events[: event.number - 1]
    champion = event.before.get(CHAMPION)
    wanted: dict[tuple[str, str], set[str] | None] = {}
    if champion:
        wanted[gate_rules.CHAMPION, champion] = None
    unknown = ""
    if isinstance(rules.reference, int):
        name = str(rules.reference)
        if name not in (champion, subject.version):
            wanted[gate_rules.FIXED, name] = None
    else:
        versions, names = model_versions.versions(subject.root), reference.champions(before)
        gone = [name for name in names if name not in versions]
        if gone:
            unknown = f"not checked is whether version {', '.join(gone)}, gone from the registry, was better"
        tags = {name: versions[name].tags for name in names if name in versions}
        best = reference.best(tags, list(rules.floors), subject.tags, champion)
        for protocol, name in best.items():
            if name != champion:
                protocols = wanted.setdefault((gate_rules.BEST, name), set())
                assert protocols is not None
                protocols.add(protocol)
    found = {
        (one.role, one.version): set(one.difference) if one.role == gate_rules.BEST else None
        for one in evidence.comparisons
    }
    if found != wanted and not unknown:
        raise Broken(
            f"{event} compares with other versions than the champion and the reference of then",
            _text(found),
            _text(wanted),
        )
    return unknown


def _text(versions: dict[tuple[str, str], set[str] | None]) -> str:
    return (
        ", ".join(
            f"{role} {version}" + (f" on {', '.join(sorted(protocols))}" if protocols else "")
            for (role, version), protocols in sorted(versions.items())
        )
        or "no version"
    )


def _same_changes(what: str, recorded: Sequence[Change], found: Sequence[Change]) -> None:
    """Raise Broken if a recorded change differs from the one found; their order does not matter."""
    one, other = ({(change.protocol, change.name): change for change in some} for some in (recorded, found))
    for key in sorted(one.keys() | other.keys()):
        if key not in one or key not in other or not _same(_figures(one[key]), _figures(other[key])):
            raise Broken(f"{key[1] or 'no group'!r} of {what} does not follow", one.get(key), other.get(key))


def _figures(change: Change) -> list[float]:
    return [change.old, change.new, *_with_ends(change.difference), change.episodes]


def _with_ends(difference: Interval) -> Interval:
    """The interval, with NaN ends if its width is 0: earlier records have this for a single episode, no other ever."""
    mean, low, high = difference
    return Interval(mean, math.nan, math.nan) if low == mean == high else difference


def _same(recorded: Sequence[float], found: Sequence[float]) -> bool:
    return all(
        math.isclose(a, b, rel_tol=0, abs_tol=results.EXACT) or (math.isnan(a) and math.isnan(b))
        for a, b in zip(recorded, found, strict=True)
    )
