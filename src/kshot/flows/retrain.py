"""One retraining, told on one screen. The graph is dvc.yaml's; here stand the order, the retries and the limits."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging.loggers import flow_run_logger

from kshot.flows import links
from kshot.flows.output import listener, say
from kshot.lifecycle.pipeline import durations, graph
from kshot.lifecycle.project import notify, project_lock
from kshot.lifecycle.registry import promotion
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.retraining import steps, summary
from kshot.lifecycle.tracking import lineage, live_run, store
from kshot.lifecycle.tracking.lineage import Lineage

HOUR_S = 3600.0
LONGEST_CAUSE = 300  # characters of an error that is said in one line
LIMIT_S = {"train": 7 * 24 * HOUR_S}  # every other stage has two hours


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Tell the addresses of KSHOT_NOTIFY of a retraining that failed."""
    for trouble in notify.failed(flow_run.name, state.message or state.name):
        flow_run_logger(flow_run, flow).warning(trouble)


@flow(name="retrain", on_failure=[tell_failure])
def retrain(root: str = ".", allow_unrecorded: bool = False) -> None:
    """Run every stage, then record, register, decide, promote and report. Raises the KshotError of what failed.

    `allow_unrecorded`: go on also where git cannot say which code it is.
    """
    project, began = Path(root).resolve(), time.monotonic()
    with project_lock.hold(project, "kshot retrain"), links.linked_run(project) as live:
        lineage.require_recorded(live.code, allow_unrecorded)
        for sentence in promotion.catch_up(project):
            say(sentence)
        data = steps.ready_data(project)
        say(f"data version {data.short}: {data.images:,} images of {data.classes:,} classes")
        stages = [run_stage.with_options(name=stage.name)(project, stage.name) for stage in graph.stages(project)]
        origin = lineage.lineage(project, live.code)
        version = register(project, live, origin)
        outcome = decide_and_promote(project, version, origin)
        times = durations.Times(tuple(stages), time.monotonic() - began)
        with decision_stands("the report could not be written", "`kshot retrain` writes it and trains nothing"):
            report(project, outcome, times)
    if live.trouble_at_end:
        say(live.trouble_at_end)
    with decision_stands("the summary could not be made", "`kshot models` shows the decision"):
        say(summary.closing_words(project, outcome, times))


@contextlib.contextmanager
def decision_stands(what: str, remedy: str) -> Iterator[None]:
    """Say in one line what failed in the block, and go on: a retraining that has decided does not fail any more."""
    try:
        yield
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"{what} ({cause[:LONGEST_CAUSE]}); the decision stands, and {remedy}")


def worth_another_try(_: Any, __: Any, state: Any) -> bool:
    """What may get through the second time: a stage that a signal ended, a lock, a server that did not answer."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, (graph.StageKilled, graph.StageBusy, store.Unreachable))


# Data or settings that were refused once are not tried again.
AGAIN: dict[str, Any] = {"retry_delay_seconds": 10, "retry_condition_fn": worth_another_try}


# DVC is the cache: Prefect must not skip what DVC would do.
@task(cache_policy=NO_CACHE, retries=1, **AGAIN)
def run_stage(root: Path, name: str) -> durations.StageTime:
    """Run one stage of dvc.yaml, its output in the log; the stage before it has ended."""
    ended = graph.run_stage(root, name, on_output=listener(name), timeout_s=LIMIT_S.get(name, 2 * HOUR_S))
    if ended.outcome == "ran":
        durations.note(root, name, ended.seconds)
    how = {"ran": "done", "restored": "restored from the cache", "unchanged": "unchanged"}[ended.outcome]
    say(f"{name:<9} {how} ({ended.seconds:.1f} s)")
    return durations.of_stage(root, ended)


@task(cache_policy=NO_CACHE, retries=2, **AGAIN)
def register(root: Path, live: live_run.LiveRun, origin: Lineage) -> Registered:
    """Record the run and register its model, once for these inputs."""
    version = steps.register(root, live, origin)
    links.link_mlflow(root, version.run_id)
    if live.trouble:
        say(live.trouble)
    say(f"register  version {version.version} {'is new' if version.is_new else 'holds these results already'}")
    return version


@task(cache_policy=NO_CACHE, retries=2, **AGAIN)
def decide_and_promote(root: Path, version: Registered, origin: Lineage) -> steps.Outcome:
    """Compare with the champion and move the alias that follows from it, or leave it waiting for a person."""
    outcome = steps.judge(root, version, origin)
    for sentence in outcome.put_right:
        say(sentence)
    return outcome


@task(cache_policy=NO_CACHE, retries=2, **AGAIN)
def report(root: Path, outcome: steps.Outcome, times: durations.Times) -> None:
    """Write the page for people, and the table that Prefect shows."""
    steps.write_report(root, outcome, times)
    table = summary.accuracy_table(root)
    words = f"version {outcome.version}: {steps.verdict(outcome)}; {'; '.join(outcome.reasons)}"
    create_table_artifact(key="retrain-result", table=[dict(row) for row in table], description=words)
