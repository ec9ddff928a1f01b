"""A sweep: runs the trials that have no result yet, records all of them, and compares them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kshot.errors import KshotError, RegistryError
from kshot.first_few import first_few
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.pipeline.durations import readable
from kshot.lifecycle.project import git, layout, progress
from kshot.lifecycle.retraining import steps
from kshot.lifecycle.sweep import choice, local_trials, trial_process, trial_queue, trial_result, trials
from kshot.lifecycle.sweep.choice import Compared
from kshot.lifecycle.sweep.mlflow_runs import SweepRuns
from kshot.lifecycle.sweep.trial_queue import Again, Ended, StartTrial, TrialInputs
from kshot.lifecycle.sweep.trial_result import TrialResult
from kshot.lifecycle.sweep.trials import Trial
from kshot.lifecycle.tracking import uncommitted
from kshot.params.engine import Engine
from kshot.params.schema import load_params

NAMED = 4  # changed files that a message names
Say = Callable[[str], None]


@dataclass(frozen=True)
class Failed:
    """A trial without a result, and the reason."""

    trial: Trial
    trouble: str


@dataclass(frozen=True)
class Sweep:
    """The outcome of a sweep.

    rows     the finished trials, best first
    failed   the others
    resumed  how many had finished before
    run_id   of the parent run in MLflow
    """

    file: str
    commit: str
    data_version: str
    when: str
    count: int
    rows: tuple[Compared, ...]
    failed: tuple[Failed, ...]
    resumed: int
    run_id: str

    @property
    def best(self) -> Trial | None:
        """The chosen trial, None if none has finished."""
        return self.rows[0].trial if self.rows else None


@dataclass
class _Results:
    """The results of the trials so far."""

    finished: dict[int, TrialResult] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def run(root: Path, file: Path, processes: int | None, say: Say, engine: Engine = "local") -> tuple[Sweep, SweepRuns]:
    """Run the sweep of `file`, `processes` trials at a time; the caller holds the sweep's lock and closes the runs.

    processes  None: one on this machine, as many as fit on a Ray cluster
    say        called with a line for each step
    engine     where the trials run: in processes of this machine, or on the nodes of a Ray cluster

    Raises ParamsError for invalid trials or a cluster that cannot be used before the first one starts, DataError
    without data, RegistryError for uncommitted changes and if MLflow cannot be used. A failed trial is part of the
    result.
    """
    trial_queue.clean_up(root)
    commit = committed(root)
    data = steps.ready_data(root)
    every = trials.read(root, file, commit, data.md5)
    text = (root / settings.PARAMS).read_text(encoding="utf-8")
    runs = SweepRuns(root, every, commit, file.stem)
    known = _Results()
    with _closed(runs):
        for trial in every:
            if (result := trial_result.read(trial_result.folder(root, trial.identity))) is not None:
                _take(known, trial, result)
        resumed = len(known.finished)
        before = f", {resumed} finished before" if resumed else ""
        say(f"{len(every)} trials{before}; commit {commit[:10]}, data version {data.short}")
        inputs = TrialInputs(root, commit, data.md5, trials.protocol_of(root), text)
        if len(known.finished) < len(every):
            with _place(root, engine, processes) as (start, at_once):
                _run_missing(inputs, every, start, at_once, known, runs, say)
        _record_all(every, known, runs)
    rows = choice.compare([(one, known.finished[one.number]) for one in every if one.number in known.finished])
    return Sweep(
        file=file.name,
        commit=commit,
        data_version=data.md5,
        when=datetime.now().astimezone().isoformat(timespec="minutes"),
        count=len(every),
        rows=rows,
        failed=tuple(Failed(one, known.failed[one.number]) for one in every if one.number in known.failed),
        resumed=resumed,
        run_id=runs.run_id,
    ), runs


def committed(root: Path) -> str:
    """The commit that is checked out. Raises RegistryError if there is none, or files other than params.yaml differ.

    The trials begin with params.yaml as it is and record it; any other change would not be in their worktrees.
    """
    commit = git.commit(root)
    if not commit:
        raise RegistryError(f"{root} has no commit yet, and trials work at one; run `git add . && git commit`")
    changed = [name for name in uncommitted.changed_files(root) if name != settings.PARAMS]
    if changed:
        raise RegistryError(
            f"{first_few(changed, NAMED)} differ from commit {commit[:10]}, at which the trials work; "
            "commit them first, or `git stash` them"
        )
    return commit


@contextlib.contextmanager
def _closed(runs: SweepRuns) -> Iterator[None]:
    """Close the parent run if the block is interrupted or fails."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(KshotError):
            runs.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


@contextlib.contextmanager
def _place(root: Path, engine: Engine, processes: int | None) -> Iterator[tuple[StartTrial, int]]:
    """The function that starts a trial, and how many run at a time."""
    if engine == "local":
        yield local_trials.start, processes or 1
        return
    from kshot.lifecycle.sweep.ray_trials import trials_on_ray

    with trials_on_ray(root, load_params(root / settings.PARAMS).train) as (start, most):
        yield start, min(processes or most, most)


def _run_missing(
    inputs: TrialInputs,
    every: Sequence[Trial],
    start: StartTrial,
    at_once: int,
    known: _Results,
    runs: SweepRuns,
    say: Say,
) -> None:
    missing = [one for one in every if one.number not in known.finished]
    progress.step("waiting for the trials of an interrupted sweep to end")
    with trial_process.among_trials(inputs.home, wait_for_all=True):
        pass
    progress.clear()
    ended = trial_queue.run(inputs, missing, min(at_once, len(missing)), start)
    with contextlib.closing(ended):
        for one in ended:
            if isinstance(one, Again):
                say(f"trial {one.trial.number} is tried again: {one.trouble}")
                continue
            _note(inputs.home, one, known, runs)
            done = len(known.finished) + len(known.failed)
            say(f"{done} of {len(every)}  {_outcome(one, known)}")


def _note(home: Path, one: Ended, known: _Results, runs: SweepRuns) -> None:
    """Take the result of a trial that ended, or its failure. MLflow's trouble must not stop the others."""
    result = None if one.trouble else trial_result.read(trial_result.folder(home, one.trial.identity))
    if result is None:
        known.failed[one.trial.number] = one.trouble or "it ended without a result; run the same command again"
        with contextlib.suppress(RegistryError):
            runs.record_failure(one.trial, known.failed[one.trial.number])
        return
    _take(known, one.trial, result)
    if one.trial.number in known.finished:
        with contextlib.suppress(RegistryError):  # tried again at the end
            runs.record(one.trial, result)


def _take(known: _Results, trial: Trial, result: TrialResult) -> None:
    """Count the trial as finished unless it predicted other episodes than the others: they could not be compared."""
    first = next(iter(known.finished.values()), result)
    if result.episodes == first.episodes:
        known.finished[trial.number] = result
    else:
        known.failed[trial.number] = "its settings change the validation episodes, so that it cannot be compared"


def _record_all(every: Sequence[Trial], known: _Results, runs: SweepRuns) -> None:
    for trial in every:
        if trial.number in known.finished:
            runs.record(trial, known.finished[trial.number])


def _outcome(one: Ended, known: _Results) -> str:
    number = one.trial.number
    if number in known.failed:
        return f"trial {number} failed: {known.failed[number]} ({one.trial.text})"
    result = known.finished[number]
    mean = sum(result.accuracies) / len(result.accuracies)
    return f"trial {number}: {100 * mean:.2f} % in {readable(one.seconds)} ({one.trial.text})"


def page_path(root: Path) -> Path:
    """Where the page of the last sweep is written."""
    return root / layout.REPORT.with_name("sweep.html")
