"""Runs trials as tasks on the nodes of a Ray cluster, which see the project on one file system.

A task starts the same process in the same worktree as a local trial and waits for it: Ray decides where, and nothing of
a trial goes through it but an exit code. A task whose node is lost is not started again by Ray but by the queue, in
another worktree, because the lost process may still write to its own.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kshot.errors import ParamsError
from kshot.lifecycle.project import processes
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.sweep import local_trials
from kshot.lifecycle.sweep.trial_queue import StartTrial, TrialInputs, TrialLost, log_of
from kshot.lifecycle.sweep.trials import Trial
from kshot.parallel.ray_cluster import connected
from kshot.parallel.ray_nodes import require_alike
from kshot.params.sections.train import Train

POLL_S = 0.1


@dataclass(frozen=True)
class RayAttempt:
    """A trial's task."""

    ray: ModuleType
    task: Any

    def poll(self) -> int | None:
        """The exit code of the trial's process, None while it waits or runs. Raises TrialLost."""
        ended, _ = self.ray.wait([self.task], timeout=0)
        if not ended:
            return None
        try:
            return int(self.ray.get(self.task))
        except self.ray.exceptions.RayError as error:
            raise TrialLost(reason(error)) from error

    def end(self) -> None:
        """Cancel the task, which interrupts the process, and wait for it."""
        self.ray.cancel(self.task)
        self.ray.wait([self.task], timeout=2 * processes.GRACE_S)


@contextlib.contextmanager
def trials_on_ray(home: Path, train: Train) -> Iterator[tuple[StartTrial, int]]:
    """A function that starts a trial on the cluster, and how many run at a time; it is connected in the block.

    A trial of `train` takes as many processors as it has processes, or a GPU if the cluster has any. Raises ParamsError
    for a cluster that is not there, whose nodes do not see the project, or that is too small for a trial.
    """
    with connected() as ray:
        require_alike(ray, private_state(home))
        has = ray.cluster_resources()
        each = resources(train, has)
        at_once = min(int(has.get(name, 0) // number) for name, number in each.items())
        if at_once < 1:
            raise ParamsError(f"a trial needs {_shown(each)}, and the Ray cluster has {_shown(has)}; add a node")
        task = ray.remote(max_retries=0)(run_here)

        def start(inputs: TrialInputs, tree: Path, trial: Trial) -> RayAttempt:
            options = task.options(name=f"trial {trial.number}", **_options(each))
            arguments = local_trials.arguments(inputs, trial)
            return RayAttempt(ray, options.remote(arguments, str(tree), str(log_of(inputs.home, trial)), _variables()))

        yield start, at_once


def resources(train: Train, has: dict[str, float]) -> dict[str, float]:
    """The resources of a trial on a cluster that `has` these: processors, and GPUs if it would use them."""
    processes = 1 if train.processes == "auto" else train.processes
    if train.device in ("auto", "cuda") and has.get("GPU"):
        return {"CPU": 1, "GPU": processes}
    return {"CPU": processes}


def _options(each: dict[str, float]) -> dict[str, float]:
    return {"num_cpus": each["CPU"], "num_gpus": each.get("GPU", 0)}


def _shown(found: dict[str, float]) -> str:
    return ", ".join(f"{found.get(name, 0):g} {name}" for name in ("CPU", "GPU") if found.get(name) or name == "CPU")


def _variables() -> dict[str, str]:
    """The environment variables that a trial takes over from this process; each node has its own credentials."""
    return {name: os.environ[name] for name in ("KSHOT_DEBUG", "OMP_NUM_THREADS") if name in os.environ}


def run_here(arguments: tuple[str, ...], tree: str, log: str, variables: dict[str, str]) -> int:
    """The task on a node: run the trial's process to its end, and return its exit code."""
    environment = {**local_trials.environment(Path(tree)), **variables, **local_trials.STAGES}
    process = local_trials.process_of(arguments, Path(tree), Path(log), environment)
    try:
        while (code := process.poll()) is None:
            time.sleep(POLL_S)
        return code
    finally:
        processes.end(process)


def reason(error: Exception) -> str:
    """Why Ray lost a task, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__.removesuffix('Error')}: {text[:200]}" if text else type(error).__name__
