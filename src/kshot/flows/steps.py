"""The steps of a retraining as Prefect tasks, with their retries and limits. `flows/retrain.py` sets their order."""

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging.loggers import flow_run_logger

from kshot import plugins
from kshot.flows import lineage_events, links, notify
from kshot.flows.output import listener
from kshot.flows.output import say as say
from kshot.lifecycle.openlineage.announced import Announced
from kshot.lifecycle.pipeline import durations, graph
from kshot.lifecycle.project import project_lock
from kshot.lifecycle.registry import catch_up
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.retraining import steps, summary
from kshot.lifecycle.retraining.outcome import Outcome, verdict, write_report
from kshot.lifecycle.tracking import lineage, live_run, store
from kshot.serve.actions.compared_galleries import compared_galleries

HOUR_S = 3600.0
LONGEST_CAUSE = 300  # characters of an error reported in one line
LIMIT_S = {"train": 7 * 24 * HOUR_S}  # every other stage has two hours


@dataclass(frozen=True)
class Retraining:
    """A retraining in progress: the project's folder, its MLflow run, its start (monotonic seconds), its events."""

    root: Path
    live: live_run.LiveRun
    began: float
    events: Announced


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Notify the addresses in KSHOT_NOTIFY of a failed retraining."""
    for trouble in notify.failed(flow_run.name, state.message or state.name):
        flow_run_logger(flow_run, flow).warning(trouble)


@contextlib.contextmanager
def retraining(root: str, allow_unrecorded: bool = False) -> Iterator[Retraining]:
    """Lock the project and open its MLflow run during the block; cleans up after an earlier crash first.

    An exception in the block fails the run, with the reason. `allow_unrecorded`: continue even if git cannot determine
    the commit. Raises Busy, RegistryError.
    """
    project, began = Path(root).resolve(), time.monotonic()
    plugins.use_project(project)
    with (
        project_lock.hold(project, "kshot retrain"),
        lineage_events.of_flow(project, "retrain", measures=True) as events,
        links.linked_run(project) as live,
    ):
        lineage.require_recorded(live.code, allow_unrecorded)
        for sentence in catch_up.catch_up(project):
            say(sentence)
        yield Retraining(project, live, began, events)


def ready_data(run: Retraining) -> None:
    """Report the data version in use. Raises DataError if there is none, or if its files have changed."""
    data = steps.ready_data(run.root)
    say(f"data version {data.short}: {data.images:,} images of {data.classes:,} classes")


def run_stages(run: Retraining) -> list[durations.StageTime]:
    """Run every stage of dvc.yaml in order, each as its own task."""
    return [_run_stage.with_options(name=stage.name)(run.root, stage.name) for stage in graph.stages(run.root)]


def register(run: Retraining) -> Registered:
    """Record the run and register its model, once for these inputs."""
    return _register(run.root, run.live)


def decide_and_promote(run: Retraining, version: Registered) -> Outcome:
    """Compare with the champion and move the alias accordingly, or leave the decision to a person."""
    outcome = _decide_and_promote(run.root, run.live, version)
    run.events.decided(outcome.version, outcome.decision, outcome.reasons)
    return outcome


def report(run: Retraining, outcome: Outcome, stages: Sequence[durations.StageTime]) -> None:
    """Write the report page and the table that Prefect shows. The decision stands even if this fails."""
    with decision_stands("the report could not be written", "`kshot retrain` writes it and trains nothing"):
        _report(run.root, outcome, _times(run, stages))


def summarise(run: Retraining, outcome: Outcome, stages: Sequence[durations.StageTime]) -> None:
    """Print the outcome after the MLflow run is closed. The decision stands even if this fails."""
    if run.live.trouble_at_end:
        say(run.live.trouble_at_end)
    with decision_stands("the summary could not be made", "`kshot models` shows the decision"):
        say(summary.closing_text(run.root, outcome, _times(run, stages)))


@contextlib.contextmanager
def decision_stands(what: str, remedy: str) -> Iterator[None]:
    """Report an error of the block in one line and continue: a decided retraining must not fail any more."""
    try:
        yield
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"{what} ({cause[:LONGEST_CAUSE]}); the decision stands, and {remedy}")


def worth_another_try(_: Any, __: Any, state: Any) -> bool:
    """Whether a retry may succeed: a stage ended by a signal, a lock, a server that did not answer."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (graph.StageKilled, graph.StageBusy, store.Unreachable))


# Refused data or settings are not tried again.
AGAIN: dict[str, Any] = {"retry_delay_seconds": 10, "retry_condition_fn": worth_another_try}


# DVC is the cache: Prefect must not skip a stage that DVC would run.
@task(name="run_stage", cache_policy=NO_CACHE, retries=1, **AGAIN)
def _run_stage(root: Path, name: str) -> durations.StageTime:
    """Run one stage of dvc.yaml and log its output; the previous stage has ended."""
    ended = graph.run_stage(root, name, on_output=listener(name), timeout_s=LIMIT_S.get(name, 2 * HOUR_S))
    if ended.outcome == "ran":
        durations.note(root, name, ended.seconds)
    how = {"ran": "done", "restored": "restored from the cache", "unchanged": "unchanged"}[ended.outcome]
    say(f"{name:<9} {how} ({ended.seconds:.1f} s)")
    return durations.of_stage(root, ended)


@task(name="register", cache_policy=NO_CACHE, retries=2, **AGAIN)
def _register(root: Path, live: live_run.LiveRun) -> Registered:
    version = steps.register(root, live, lineage.lineage(root, live.code))
    links.link_mlflow(root, version.run_id)
    if live.trouble:
        say(live.trouble)
    say(f"register  version {version.version} {'is new' if version.is_new else 'holds these results already'}")
    return version


@task(name="decide_and_promote", cache_policy=NO_CACHE, retries=2, **AGAIN)
def _decide_and_promote(root: Path, live: live_run.LiveRun, version: Registered) -> Outcome:
    compare = functools.partial(compared_galleries, root)
    outcome = steps.judge(root, version, lineage.lineage(root, live.code), compare)
    for sentence in outcome.repairs:
        say(sentence)
    return outcome


@task(name="report", cache_policy=NO_CACHE, retries=2, **AGAIN)
def _report(root: Path, outcome: Outcome, times: durations.Times) -> None:
    write_report(root, outcome, times)
    table = summary.accuracy_table(root)
    text = f"version {outcome.version}: {verdict(outcome)}; {'; '.join(outcome.reasons)}"
    create_table_artifact(key="retrain-result", table=[dict(row) for row in table], description=text)


def _times(run: Retraining, stages: Sequence[durations.StageTime]) -> durations.Times:
    return durations.Times(tuple(stages), time.monotonic() - run.began)
