"""Runs trials in local processes, each in a worktree at the sweep's commit, and yields them as they end."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import graph, temporary_tree, worktree
from kshot.lifecycle.project import git, layout, processes, settings
from kshot.lifecycle.sweep import trial_result
from kshot.lifecycle.sweep.trials import Trial

TREES = "sweep-"  # prefix of the worktrees' folders in .kshot
LOGS = trial_result.PLACE / "logs"
POLL_S = 0.05


@dataclass(frozen=True)
class TrialInputs:
    """What every trial of a sweep begins with: the project, its commit, its data version, the protocol of the choice.

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


@dataclass
class _Running:
    trial: Trial
    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.monotonic)


def run(inputs: TrialInputs, trials: Sequence[Trial], count: int) -> Generator[Ended, None, None]:
    """Run `trials` in order, `count` at a time, and yield each when it has ended.

    A trial that fails does not stop the others. Closing the iterator ends the trials that are running. No worktree is
    left.
    """
    waiting, free, running = list(reversed(trials)), list(range(count)), dict[int, _Running]()
    trees: dict[int, Path] = {}
    with contextlib.ExitStack() as stack:
        try:
            while waiting or running:
                while waiting and free:
                    place, trial = free.pop(), waiting.pop()
                    began = time.monotonic()
                    try:
                        if place not in trees:
                            trees[place] = _new_tree(inputs, stack)
                        running[place] = _start(inputs, trees[place], trial)
                    except (KshotError, OSError) as error:
                        free.append(place)
                        yield Ended(trial, time.monotonic() - began, str(error))
                for place, one in list(running.items()):
                    if (code := one.process.poll()) is not None:
                        del running[place]
                        free.append(place)
                        yield Ended(one.trial, time.monotonic() - one.began, trouble_of(one.log, code) if code else "")
                time.sleep(POLL_S)
        finally:
            for one in running.values():  # before their worktrees are removed
                processes.end(one.process)


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


def _start(inputs: TrialInputs, tree: Path, trial: Trial) -> _Running:
    settings.write(tree, trial.params)
    worktree.link_weights(inputs.home, tree)
    place, log = trial_result.folder(inputs.home, trial.identity), inputs.home / LOGS / f"{trial.identity}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [str(inputs.home), str(place), inputs.protocol, str(os.getpid())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kshot.lifecycle.sweep.trial_process", *arguments],
            cwd=tree,
            env=_environment(tree),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Running(trial, process, log)


def _environment(tree: Path) -> dict[str, str]:
    """The environment of a trial: kshot from the worktree if the project contains it, else the installed one."""
    found = graph.stage_environment()
    if (tree / "src/kshot").is_dir():
        found["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), *filter(None, [found.get("PYTHONPATH")])])
    return found


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
