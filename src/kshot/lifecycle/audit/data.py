"""`kshot audit --data`, `--at` and `--class`: from data, a time or a class to the models that rest on it."""

import contextlib
import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import AuditFailed, DataError, ParamsError, RegistryError
from kshot.lifecycle import dataset, history, models, registry, store
from kshot.lifecycle.audit.content import bar, held
from kshot.lifecycle.audit.decision import standing
from kshot.lifecycle.audit.link import Broken, Link, checked
from kshot.lifecycle.audit.subject import DELETED, read_history
from kshot.lifecycle.dataset import DataVersion
from kshot.lifecycle.events import CHAMPION, Event, Reign, reigns, verify
from kshot.lifecycle.tables import counted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

PAGE = 1000  # runs in one request
FIRST = ("train.", "evaluate.", "ingest.", "split.")  # sections whose params are shown first


@dataclass(frozen=True)
class RunOnData:
    """A run that used the data. `params`: those that are not the same in every such run."""

    run_id: str
    started: datetime
    status: str
    version: str
    params: dict[str, str]


@dataclass(frozen=True)
class ModelOnData:
    """A version that was trained on the data, what was decided about it and when it served."""

    version: str
    run_id: str
    accuracy: dict[str, float]
    decision: str
    events: tuple[Event, ...]
    reigns: tuple[Reign, ...]


@dataclass(frozen=True)
class DataAudit:
    """Everything that touched a data version; `links` were verified, `at` in UTC."""

    data: DataVersion
    at: datetime
    deep: bool
    runs: tuple[RunOnData, ...]
    models: tuple[ModelOnData, ...]
    links: tuple[Link, ...]

    @property
    def failed(self) -> tuple[Link, ...]:
        """The links that do not hold."""
        return tuple(link for link in self.links if not link.holds)


def audit_data(root: Path, prefix: str, *, deep: bool = False, quiet: bool = True) -> DataAudit:
    """What rests on the data version that starts with `prefix`.

    A version that the ledger lost is found by the runs that name it. Raises DataError for an unknown or ambiguous one,
    listing the candidates, and RegistryError.
    """
    with store.told(store.connect(root)):
        client = store.client()
        versions = sorted(client.search_model_versions(f"name='{store.NAME}'"), key=lambda one: int(one.version))
        data = _find(root, prefix, versions)
        with _no_collection():
            runs = _runs(client, data.md5)
        aliases = history.standing(client)
    record, trouble = read_history(root)
    events = record.events if record else ()
    mine = [one for one in versions if one.tags.get("kshot.data_version") == data.md5]
    of_run = {str(one.run_id): str(one.version) for one in mine}
    links = (
        checked("data", lambda: _content(root, data, deep, quiet)),
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
    )


def champions(root: Path, moment: str) -> tuple[Reign, ...]:
    """Who was champion on that day, or at that time (ISO 8601, UTC where it names no zone).

    Of a day, everyone who was champion for a part of it. Raises ParamsError for what is no time and AuditFailed for a
    history that does not hold: its answer would be worth nothing.
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
    if problems := verify(record.events, record.aliases):
        raise AuditFailed(f"the history of promotions does not hold, so it cannot say who was champion: {problems[0]}")
    return tuple(one for one in reigns(record.events) if one.since < until and (one.until is None or one.until > since))


def _find(root: Path, prefix: str, versions: "Sequence[ModelVersion]") -> DataVersion:
    try:
        return dataset.find(root, prefix)
    except DataError:
        known = {one.tags.get("kshot.data_version", "") for one in versions} - {""}
        found = [md5 for md5 in known if prefix and md5.startswith(prefix)]
        if len(found) != 1 or any(version.md5.startswith(prefix) for version in dataset.versions(root)):
            raise
        return DataVersion(found[0], "", 0, 0, 0, 0, "", "the ledger lost it; models still name it")


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """MLflow makes an object of every param, metric and tag: looking for garbage among 120,000 doubles the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _runs(client: "MlflowClient", md5: str) -> "list[Run]":
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    assert experiment is not None, "connecting makes it"
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            f"tags.`kshot.data_version` = '{md5}'",
            run_view_type=ViewType.ALL,
            max_results=PAGE,
            order_by=["start_time"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def _described(runs: "Sequence[Run]", of_run: dict[str, str]) -> tuple[RunOnData, ...]:
    params = [dict(run.data.params) for run in runs if run.data.params]
    names = {name for one in params for name in one}
    differ = sorted(
        (name for name in names if len({one.get(name) for one in params}) > 1),
        key=lambda name: (not name.startswith(FIRST), name),
    )
    return tuple(
        RunOnData(
            run_id=run.info.run_id,
            started=datetime.fromtimestamp((run.info.start_time or 0) / 1000, UTC),
            status=DELETED if run.info.lifecycle_stage == DELETED else str(run.info.status).lower(),
            version=of_run.get(run.info.run_id, ""),
            params={name: run.data.params[name] for name in differ if name in run.data.params},
        )
        for run in runs
    )


def _model(one: "ModelVersion", events: Sequence[Event], aliases: dict[str, str]) -> ModelOnData:
    version = str(one.version)
    scores = json.loads(one.tags.get(registry.ACCURACY, "{}"))
    return ModelOnData(
        version=version,
        run_id=str(one.run_id),
        accuracy={name: float(score[0]) for name, score in scores.items()},
        decision=models.decision(dict(one.tags), version, aliases.get(CHAMPION, "")),
        events=tuple(event for event in events if event.version == version),
        reigns=tuple(reign for reign in reigns(events) if reign.version == version),
    )


def _content(root: Path, data: DataVersion, deep: bool, quiet: bool) -> str:
    gone = f"it came from {data.source or 'a source that is not in the ledger'}" + (
        f", added {data.added[:10]}: add it again" if data.added else ""
    )
    md5, size = f"{data.md5}.dir", data.size or None
    if not deep:
        return str(held(root, md5, size, gone=gone))
    with bar(data.size, quiet) as advance:
        return str(held(root, md5, size, advance=advance, gone=gone))


def _runs_hold(runs: "Sequence[Run]", versions: "Sequence[ModelVersion]") -> str:
    alive = {run.info.run_id for run in runs if run.info.lifecycle_stage != DELETED}
    lost = [one for one in versions if str(one.run_id) not in alive]
    if lost:
        raise Broken(
            "; ".join(f"run {one.run_id} of version {one.version} is deleted, or names other data" for one in lost[:3])
            + (f"; and {len(lost) - 3} more" if len(lost) > 3 else ""),
            f"{len(versions)} versions with their runs",
            f"{len(versions) - len(lost)}",
        )
    return f"{counted(len(alive), 'run')}; those of {counted(len(versions), 'version')} are among them"


def _history(events: Sequence[Event], trouble: str, aliases: dict[str, str]) -> str:
    if trouble:
        raise RegistryError(trouble)
    problems = verify(events, aliases)
    if problems:
        raise Broken("; ".join(problems), standing(dict(events[-1].after) if events else {}), standing(aliases))
    count = counted(len(events), "event")
    return f"{count}, each with the hash of the one before; the aliases stand where the last one left them"
