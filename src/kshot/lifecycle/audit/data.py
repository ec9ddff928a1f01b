"""`kshot audit --data` and `--at`: from a data version to the models based on it, and from a time to the champion."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import AuditFailed, DataError, ParamsError, RegistryError
from kshot.first_few import first_few
from kshot.lifecycle.audit.decision.decision import standing
from kshot.lifecycle.audit.link import Link, checked
from kshot.lifecycle.audit.runs import RunOnData, runs_on
from kshot.lifecycle.audit.subject import DELETED, read_history
from kshot.lifecycle.data import data_versions, feedback_ledger, lost_content
from kshot.lifecycle.data.changes import labelled_images
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.dvc_cache import bar, listing, locate
from kshot.lifecycle.data.feedback_ledger import FeedbackImage
from kshot.lifecycle.history import history
from kshot.lifecycle.history.champions import ChampionPeriod, champion_periods
from kshot.lifecycle.history.erasure_event import require_sealed
from kshot.lifecycle.history.event_chain import broken
from kshot.lifecycle.history.events import CHAMPION, Event
from kshot.lifecycle.project.broken import Broken, Erased
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.registry import listing as models
from kshot.lifecycle.registry import registration
from kshot.lifecycle.tracking import store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

IMAGES = "images/"  # of data/raw, next to manifest.csv
FIRST = ("train.", "evaluate.", "ingest.", "split.")  # sections whose params are shown first


@dataclass(frozen=True)
class ModelOnData:
    """A version that was trained on the data, the decision about it and its periods as champion."""

    version: str
    run_id: str
    accuracy: dict[str, float]
    decision: str
    events: tuple[Event, ...]
    periods: tuple[ChampionPeriod, ...]


@dataclass(frozen=True)
class DataAudit:
    """Everything that used a data version; `links` were verified, `at` is in UTC.

    feedback: its images that came from requests to the service, with who labelled them.
    """

    data: DataVersion
    at: datetime
    deep: bool
    runs: tuple[RunOnData, ...]
    models: tuple[ModelOnData, ...]
    links: tuple[Link, ...]
    feedback: tuple[FeedbackImage, ...] = ()

    @property
    def failed(self) -> tuple[Link, ...]:
        """The links that do not hold."""
        return tuple(link for link in self.links if not link.holds)


def audit_data(root: Path, prefix: str, *, deep: bool = False, quiet: bool = True) -> DataAudit:
    """Audit the data version that starts with `prefix`, and everything based on it.

    A version missing from the ledger is found by the runs that name it. Raises DataError for an unknown or ambiguous
    one, listing the candidates, and RegistryError.
    """
    with store.translated_errors(store.connect(root)):
        client = store.client()
        versions = sorted(client.search_model_versions(store.of_project(root)), key=lambda one: int(one.version))
        data = _find(root, prefix, versions)
        runs = runs_on(client, root, data.md5)
        aliases = history.standing(client, root)
    record, trouble = read_history(root)
    events = record.events if record else ()
    mine = [one for one in versions if one.tags.get("kshot.data_version") == data.md5]
    of_run = {str(one.run_id): str(one.version) for one in mine}
    feedback: list[FeedbackImage] = []
    links = (
        checked("data", lambda: _content(root, data, deep, quiet, events)),
        *([checked("feedback", lambda: _feedback(root, data, feedback))] if feedback_ledger.read(root) else []),
        checked("runs", lambda: _runs_hold(runs, mine)),
        checked("history", lambda: _history(events, trouble, aliases)),
    )
    return DataAudit(
        data=data,
        at=datetime.now(UTC),
        deep=deep,
        runs=_described(runs, of_run),
        models=tuple(_model(one, events, aliases) for one in mine),
        links=links,
        feedback=tuple(feedback),
    )


def champions(root: Path, moment: str) -> tuple[ChampionPeriod, ...]:
    """The champions on a day, or at a time (ISO 8601, UTC if it names no zone).

    For a day, everyone who was champion during part of it. Raises ParamsError for text that is not a time, and
    AuditFailed for a history that does not hold, because its answer could not be trusted.
    """
    try:
        since = datetime.fromisoformat(moment)
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
        until = since + (timedelta(days=1) if len(moment) <= len("2026-03-01") else timedelta(microseconds=1))
    except (ValueError, OverflowError) as error:
        raise ParamsError(f"{moment!r} is no time; needs a day or a time: 2026-03-01 or 2026-03-01T14:30") from error
    record, trouble = read_history(root)
    if record is None:
        raise RegistryError(trouble)
    # A deleted or renamed model takes its aliases along; the events before it still say who was champion.
    left = record.last.after if record.last and record.trouble else record.aliases
    if problems := broken(record.events, left):
        raise AuditFailed(f"the history of promotions does not hold, so it cannot say who was champion: {problems[0]}")
    periods = champion_periods(record.events)
    return tuple(one for one in periods if one.since < until and (one.until is None or one.until > since))


def _find(root: Path, prefix: str, versions: "Sequence[ModelVersion]") -> DataVersion:
    try:
        return data_versions.find(root, prefix)
    except DataError:
        known = {one.tags.get("kshot.data_version", "") for one in versions} - {""}
        here = data_versions.versions(root)
        found = [md5 for md5 in known if prefix and md5.startswith(prefix)]
        if known and not here and len(found) != 1:
            candidates = ", ".join(sorted(md5[:8] for md5 in known))
            raise DataError(f"{prefix!r} is no data version here; needs the start of one of: {candidates}") from None
        if len(found) != 1 or any(version.md5.startswith(prefix) for version in here):
            raise
        return DataVersion(found[0], "", 0, 0, 0, 0, "", "the ledger lost it; models still name it")


def _described(runs: Sequence[RunOnData], of_run: dict[str, str]) -> tuple[RunOnData, ...]:
    """The runs with their versions, and with only those params that differ between runs."""
    params = [run.params for run in runs if run.params]
    names = {name for one in params for name in one}
    differ = sorted(
        (name for name in names if len({one.get(name) for one in params}) > 1),
        key=lambda name: (not name.startswith(FIRST), name),
    )
    return tuple(
        replace(
            run,
            version=of_run.get(run.run_id, ""),
            params={name: run.params[name] for name in differ if name in run.params},
        )
        for run in runs
    )


def _model(one: "ModelVersion", events: Sequence[Event], aliases: dict[str, str]) -> ModelOnData:
    version = str(one.version)
    scores = json.loads(one.tags.get(registration.ACCURACY, "{}"))
    return ModelOnData(
        version=version,
        run_id=str(one.run_id),
        accuracy={name: float(score[0]) for name, score in scores.items()},
        decision=models.decision(dict(one.tags), version, aliases.get(CHAMPION, "")),
        events=tuple(event for event in events if event.version == version),
        periods=tuple(period for period in champion_periods(events) if period.version == version),
    )


def _content(root: Path, data: DataVersion, deep: bool, quiet: bool, events: Sequence[Event] | None) -> str:
    try:
        return _whole(root, data, deep, quiet)
    except Erased as erased:
        require_sealed(erased, events or None)
        raise


def _whole(root: Path, data: DataVersion, deep: bool, quiet: bool) -> str:
    gone = functools.partial(lost_content.way_back, root, data_versions.versions(root), data.md5)
    md5, size = f"{data.md5}.dir", data.size or None
    if not deep:
        found = locate(root, md5, size, gone=gone)
    else:
        with bar(data.size, quiet) as advance:
            found = locate(root, md5, size, advance=advance, gone=gone)
    listed = sum(entry["relpath"].startswith(IMAGES) for entry in listing(root, md5))
    if data.added and listed != data.images:
        raise Broken(f"the ledger says another number of images than {data.md5[:8]} has", f"{data.images}", f"{listed}")
    return str(found)


def _feedback(root: Path, data: DataVersion, into: list[FeedbackImage]) -> str:
    into += feedback_ledger.of_version(root, data.md5)
    return labelled_images.summary(into) if into else "no image of it came from a request to the service"


def _runs_hold(runs: Sequence[RunOnData], versions: "Sequence[ModelVersion]") -> str:
    alive = {run.run_id for run in runs if run.status != DELETED}
    lost = [one for one in versions if str(one.run_id) not in alive]
    if lost:
        raise Broken(
            first_few(
                [f"run {one.run_id} of version {one.version} is deleted, or names other data" for one in lost], 3, "; "
            ),
            f"{len(versions)} versions with their runs",
            f"{len(versions) - len(lost)}",
        )
    return f"{counted(len(alive), 'run')}; those of {counted(len(versions), 'version')} are among them"


def _history(events: Sequence[Event], trouble: str, aliases: dict[str, str]) -> str:
    if trouble:
        raise Broken(trouble, "a history that can be read", "none")
    problems = broken(events, aliases)
    if problems:
        raise Broken("; ".join(problems), standing(dict(events[-1].after) if events else {}), standing(aliases))
    count = counted(len(events), "event")
    return f"{count}, each with the hash of the one before; the aliases stand where the last one left them"
