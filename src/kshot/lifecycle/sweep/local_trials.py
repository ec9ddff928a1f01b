"""Runs a trial in a process of this machine."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import processes
from kshot.lifecycle.sweep import trial_result
from kshot.lifecycle.sweep.trial_queue import TrialInputs, log_of
from kshot.lifecycle.sweep.trials import Trial
from kshot.params import engine

# A trial's own stages run where the trial does.
STAGES = {engine.VARIABLE: "local"}


@dataclass(frozen=True)
class LocalAttempt:
    """A trial's process, a child of this one."""

    process: subprocess.Popen[bytes]

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.poll()

    def end(self) -> None:
        """Interrupt it, and kill it if it does not end."""
        processes.end(self.process)


def start(inputs: TrialInputs, tree: Path, trial: Trial) -> LocalAttempt:
    """Start `trial` in its worktree."""
    return LocalAttempt(process_of(arguments(inputs, trial), tree, log_of(inputs.home, trial), environment(tree)))


def arguments(inputs: TrialInputs, trial: Trial) -> tuple[str, ...]:
    """The arguments of a trial's process, without its parent."""
    return str(inputs.home), str(trial_result.folder(inputs.home, trial.identity)), inputs.protocol


def process_of(
    arguments: tuple[str, ...], tree: Path, log: Path, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a trial's process as a child of this one, in a group of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "kshot.lifecycle.sweep.trial_process", *arguments, str(os.getpid())],
            cwd=tree,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def environment(tree: Path) -> dict[str, str]:
    """The environment of a trial: kshot from the worktree if the project contains it, else the installed one."""
    found = {**graph.stage_environment(), **STAGES}
    if (tree / "src/kshot").is_dir():
        found["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), *filter(None, [found.get("PYTHONPATH")])])
    return found
