"""Reads dvc.yaml for the flow (the stages in order) and runs a stage under supervision.

DVC is responsible for order, caching and content. This module adds a time limit, an end for the whole process group,
and the stage's own error as the error.
"""

import contextlib
import dataclasses
import graphlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from kshot import full_disk
from kshot.errors import StageFailed
from kshot.first_few import first_few
from kshot.lifecycle.pipeline import dvc_forks, stage_inputs
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.project.processes import OnOutput
from kshot.lifecycle.stages import code_read
from kshot.lifecycle.stages.shards.shard_store import delete_parts

Outcome = Literal["ran", "restored", "unchanged"]

ERROR_PREFIX, BLOCK_PREFIX = "kshot: error: ", "kshot:   "  # of kshot.lifecycle.stages.entry

# Lines that DVC prints around a stage's own output.
DVC_TALK = re.compile(
    r"Running stage '|> |Generating lock file|Updating lock file|To track the changes|\tgit add|"
    r"To enable auto staging|\tdvc config core\.autostage|Use `dvc push`|Data and pipelines are up to date|"
    r"Stage '.*' (is cached|didn't change)|ERROR: failed to reproduce|"
    # One line for each file that found no room, and for each entry of the run cache that was cut off by that.
    r"ERROR: failed to transfer|WARNING: corrupted cache file '.*/runs/"
)


class StageKilled(StageFailed):
    """A signal from outside ended the stage: out of memory, or a stop. Retrying may help."""


class StageBusy(StageFailed):
    """Another process holds DVC's lock. Retrying may help."""


BUSY_REMEDY = "another process has held DVC's lock for longer than DVC waits; let that one end, and run again"


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml: its name, and the names of the stages whose output it reads."""

    name: str
    needs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class StageRun:
    """How a stage ended: it ran, DVC restored its outputs from the cache, or it was unchanged."""

    name: str
    outcome: Outcome
    seconds: float


def stages(root: Path) -> list[Stage]:
    """Return the stages of dvc.yaml, each after those that it needs, otherwise in the file's order."""
    with dvc_repository(root) as repo:
        graph = repo.index.graph  # edges lead from a stage to the stages it needs
        needs = {
            stage.name: tuple(need.name for need in graph.successors(stage) if _is_pipeline(need))
            for stage in repo.index.stages
            if _is_pipeline(stage)
        }
    return [Stage(name, needs[name]) for name in graphlib.TopologicalSorter(needs).static_order()]


def is_current(root: Path, target: str) -> bool:
    """Whether `target`, a stage's name or a .dvc file, is up to date according to `dvc status`."""
    with loaded(root, target) as stage:
        return not stage.changed()


def run_stage(root: Path, name: str, *, on_output: OnOutput, timeout_s: float) -> StageRun:
    """Run stage `name` with `dvc repro --single-item`, unless it is up to date.

    The stage and its children form one process group, which does not outlive this call, even at the time limit, an
    interruption or any other exception. Raises StageFailed with the stage's own one-line error and its exit code, and
    if one of its inputs was edited while it ran.
    """
    started = time.monotonic()
    with loaded(root, name) as stage:
        if not stage.changed():
            delete_parts(root, name)
            return StageRun(name, "unchanged", time.monotonic() - started)
        before = stage_inputs.take(root, stage)
    output: list[str] = []

    def hear(text: str, progress: bool) -> None:
        if not progress:
            output.append(text)
            del output[:-200]  # enough for the error and DVC's lines around it
        if not DVC_TALK.match(text) and not text.startswith((ERROR_PREFIX, BLOCK_PREFIX)) and text.strip():
            on_output(text, progress)

    left_s = started + timeout_s - time.monotonic()
    command = ["repro", "--single-item", name]
    code = dvc_forks.run(command, root, on_output=hear, timeout_s=left_s, env=stage_environment())
    if code is None:
        raise StageFailed(
            f"stage {name} ran longer than its limit of {timeout_s:.0f} s and was stopped; "
            "finished work is stored: run again, or raise steps.LIMIT_S in flows/retrain.py"
        )
    if code != 0:
        raise _failure(name, output)
    with loaded(root, name) as stage:
        stage_inputs.compare(root, stage, before)
        # DVC reports a file that it could not copy into its cache and ends with 0; dvc.lock names that file too.
        if lacking := [str(out) for out in stage.outs if out.use_cache and out.changed_cache()]:
            output.append(f"DVC could not store {first_few(lacking)} in its cache")
            raise _failure(name, output)
    delete_parts(root, name)
    restored = any("is cached - skipping run" in line for line in output)
    return StageRun(name, "restored" if restored else "ran", time.monotonic() - started)


def _failure(name: str, output: list[str]) -> StageFailed:
    """Build the error of a failed stage from its and DVC's last output."""
    found = re.search(r"exited with (-?\d+)", "\n".join(output[-20:]))
    code = int(found[1]) if found else 0
    own = [line.removeprefix(ERROR_PREFIX) for line in output if line.startswith(ERROR_PREFIX)]
    if own:
        error = StageFailed(own[-1])
        error.block = tuple(line.removeprefix(BLOCK_PREFIX) for line in output if line.startswith(BLOCK_PREFIX))
        error.exit_code = code if code > 0 else error.exit_code
        return error
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        return StageKilled(f"stage {name} was ended by signal {number}; often memory ran out: see the system's log")
    lines = [line for line in output if line.strip()]
    last = lines[-1].removeprefix("ERROR: ") if lines else "it said nothing"
    if any("Unable to acquire lock" in line for line in lines[-5:]):
        return StageBusy(f"stage {name}: {BUSY_REMEDY}")
    if full_disk.says_full(said := "\n".join(lines[-20:])):
        at = f" at {place}" if (place := full_disk.place_in(said)) else ""
        return StageFailed(f"stage {name}: the disk is full{at}; free some space and run the same command to continue")
    return StageFailed(f"stage {name} failed: {last}; run it alone to see more: dvc repro --single-item {name}")


def stage_environment() -> dict[str, str]:
    """Return the environment of a stage: this interpreter is the `python` of dvc.yaml, and output is unbuffered."""
    bin_folder = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([bin_folder, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def loaded(root: Path, target: str) -> Iterator[Any]:
    """Load DVC's stage for a name in dvc.yaml or for a .dvc file, with up-to-date fingerprints of its code.

    Raises StageBusy while another process holds DVC's lock.
    """
    from dvc.lock import LockError

    path, name = (root / target, None) if target.endswith(".dvc") else (root / "dvc.yaml", target)
    # Opened again each time, because a stage that ran has changed dvc.lock; that takes 0.03 s.
    with dvc_repository(root) as repo:
        try:
            with repo.lock:
                # An absolute path: DVC looks for a relative one in the working directory, not in the repository.
                stage = repo.stage.load_one(path=str(path.resolve()), name=name)
                if any(str(dep.def_path) == code_read.place_of(target).as_posix() for dep in stage.deps):
                    code_read.refresh(root, target)
                yield stage
        except LockError as error:
            raise StageBusy(f"{target}: {BUSY_REMEDY}") from error


def _is_pipeline(stage: Any) -> bool:
    return not stage.is_data_source and bool(stage.cmd)
