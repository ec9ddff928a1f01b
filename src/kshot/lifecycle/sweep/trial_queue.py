"""Runs trials, each in a worktree at the sweep's commit, and yields them as they end.

Where they run is another module's: `local_trials`, `ray_trials`.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kshot.errors import KshotError
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.pipeline import graph, temporary_tree, worktree
from kshot.lifecycle.project import git, layout
from kshot.lifecycle.sweep import trial_result
from kshot.lifecycle.sweep.trials import Trial

TREES = "sweep-"  # prefix of the worktrees' folders in .kshot
LOGS = trial_result.PLACE / "logs"
POLL_S = 0.05
TRIES = 3  # of a trial whose machine is lost


@dataclass(frozen=True)
class TrialInputs:
    """The common inputs of a sweep's trials: the project, its commit, its data version, the protocol of the choice.

    `params` is the text of the project's params.yaml when the sweep began.
    """

    home: Path
    commit: str
    data: str
    protocol: str
    params: str


@dataclass(frozen=True)
class Ended:
    """A trial that ended after `seconds`; `trouble` is the reason if it failed, '' if it has a result."""

    trial: Trial
    seconds: float
    trouble: str = ""


@dataclass(frozen=True)
class Again:
    """A trial whose machine was lost, which is tried again in another worktree; `trouble` says what was lost."""

    trial: Trial
    trouble: str


class TrialLost(Exception):
    """The process or machine that ran a trial is gone, without a word from the trial itself."""


class Attempt(Protocol):
    """A trial that runs somewhere."""

    def poll(self) -> int | None:
        """The exit code of the trial's process, None while it runs. Raises TrialLost."""

    def end(self) -> None:
        """End the trial, and return when nothing of it works any longer."""


# Starts a trial in its worktree; its output goes to `log_of`. Raises KshotError or OSError.
StartTrial = Callable[[TrialInputs, Path, Trial], Attempt]


@dataclass
class _Running:
    trial: Trial
    attempt: Attempt
    began: float = field(default_factory=time.monotonic)


def run(
    inputs: TrialInputs, trials: Sequence[Trial], count: int, start: StartTrial
) -> Generator[Ended | Again, None, None]:
    """Run `trials` in order, `count` at a time, and yield each when it has ended, or is tried again.

    A trial that fails does not stop the others; one that was lost is tried TRIES times. Closing the iterator ends the
    trials that are running. No worktree is left.
    """
    waiting, free, running = list(reversed(trials)), list(range(count)), dict[int, _Running]()
    trees: dict[int, Path] = {}
    lost: Counter[int] = Counter()
    with contextlib.ExitStack() as stack:
        try:
            while waiting or running:
                while waiting and free:
                    place, trial = free.pop(), waiting.pop()
                    began = time.monotonic()
                    try:
                        if place not in trees:
                            trees[place] = _new_tree(inputs, stack)
                        settings.write(trees[place], trial.params)
                        worktree.link_weights(inputs.home, trees[place])
                        running[place] = _Running(trial, start(inputs, trees[place], trial))
                    except (KshotError, OSError) as error:
                        free.append(place)
                        yield Ended(trial, time.monotonic() - began, str(error))
                for place, one in list(running.items()):
                    try:
                        if (code := one.attempt.poll()) is None:
                            continue
                        trouble = trouble_of(log_of(inputs.home, one.trial), code) if code else ""
                    except TrialLost as error:
                        trees.pop(place)  # what was lost may still write there
                        lost[one.trial.number] += 1
                        trouble = str(error)
                        if lost[one.trial.number] < TRIES:
                            del running[place]
                            free.append(place)
                            waiting.append(one.trial)
                            yield Again(one.trial, trouble)
                            continue
                        trouble = f"it was lost {TRIES} times, at last because {trouble}"
                    del running[place]
                    free.append(place)
                    yield Ended(one.trial, time.monotonic() - one.began, trouble)
                time.sleep(POLL_S)
        finally:
            for one in running.values():  # before their worktrees are removed
                one.attempt.end()


def log_of(home: Path, trial: Trial) -> Path:
    """The file with the output of a trial, in a folder that exists."""
    log = home / LOGS / f"{trial.identity}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _new_tree(inputs: TrialInputs, stack: contextlib.ExitStack) -> Path:
    """A prepared worktree, which one trial after the other works in, as retrainings do in a project."""
    with contextlib.ExitStack() as unfinished:
        top = unfinished.enter_context(temporary_tree.detached(inputs.home, TREES, inputs.commit))
        tree = temporary_tree.project_in(inputs.home, top)
        (tree / layout.LOCK_FILE).unlink(missing_ok=True)  # the commit's stages after train are no part of a trial
        settings.write(tree, inputs.params)
        worktree.prepare(inputs.home, tree, data=inputs.data, from_commit=False, sets=())
        stack.push(unfinished.pop_all())
    return tree


def trouble_of(log: Path, code: int) -> str:
    """The reason of a failed trial: its own error, else its last line."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    own = [line.removeprefix(graph.ERROR_PREFIX) for line in lines if line.startswith(graph.ERROR_PREFIX)]
    if own:
        return own[-1]
    if code < 0:
        return f"it was ended by signal {-code}; often memory ran out: see the system's log"
    return f"{lines[-1] if lines else 'it said nothing'} (exit code {code}; {log} has its output)"


def clean_up(home: Path) -> None:
    """Remove the worktrees that a killed sweep left. Raises GitFailed."""
    git.commit(home)
    temporary_tree.clear(home, TREES)
