"""Durations of stages, one line per stage run in .kshot/stages.jsonl, to predict how long a retraining takes."""

import contextlib
import hashlib
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kshot.lifecycle.pipeline.graph import Outcome, StageRun
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive
from kshot.load_yaml import load_yaml
from kshot.params.reader import read_mapping

FILE = layout.STATE / "stages.jsonl"
LAST = 5  # latest runs that count: a machine and a data set change
BY_STEPS = "train"  # the stage whose duration grows with train.steps


class StageTime(NamedTuple):
    """The result of a stage in one retraining.

    outcome   ran, restored (its results came from the cache) or unchanged
    seconds   its duration in this retraining
    computed  duration of computing these results, now or earlier; None if that was elsewhere or is not recorded
    """

    stage: str
    outcome: Outcome
    seconds: float
    computed: float | None


class Times(NamedTuple):
    """The stages of one retraining in order, and the total seconds, including the decision."""

    stages: tuple[StageTime, ...]
    total: float


def note(root: Path, stage: str, seconds: float) -> None:
    """Record that `stage` ran for that many seconds with the current params, giving the results in dvc.lock."""
    line = {"stage": stage, "seconds": round(seconds, 2), "steps": steps(root), "results": _results(root, stage)}
    with exclusive(root, "stages"), (root / FILE).open("ab") as file:
        # The last line may be cut off, by a full disk or a power failure: it must not swallow this one.
        begin = "\n" if file.tell() and not (root / FILE).read_bytes().endswith(b"\n") else ""
        file.write(f"{begin}{json.dumps(line)}\n".encode())


def expected(root: Path, stage: str) -> float | None:
    """The median duration of the last runs of `stage`, in seconds; for training, scaled to train.steps. None if it
    never ran here."""
    found = [line for line in _lines(root / FILE) if line["stage"] == stage][-LAST:]
    if not found:
        return None
    if stage == BY_STEPS:
        return float(statistics.median(line["seconds"] / line["steps"] for line in found)) * steps(root)
    return float(statistics.median(line["seconds"] for line in found))


def of_stage(root: Path, run: StageRun) -> StageTime:
    """The times of `run`, with the duration of computing its results."""
    if run.outcome == "ran":
        return StageTime(run.name, run.outcome, run.seconds, run.seconds)
    results = _results(root, run.name)
    # Lines written by older versions have no results.
    found = [line["seconds"] for line in _lines(root / FILE) if results and line.get("results") == results]
    return StageTime(run.name, run.outcome, run.seconds, float(found[-1]) if found else None)


def steps(root: Path) -> int:
    """train.steps of params.yaml."""
    return int(read_mapping(root / "params.yaml")["train"]["steps"])


def readable(seconds: float) -> str:
    """Seconds in readable form: "0.4 s", "19 s", "2 min 5 s", "1 h 3 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min")] if hours else [(minutes, "min"), (left, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _results(root: Path, stage: str) -> str:
    """A hash of the entry of `stage` in dvc.lock (inputs and outputs); '' if there is none."""
    try:
        entry = load_yaml((root / "dvc.lock").read_text(encoding="utf-8"))["stages"][stage]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return ""
    return hashlib.md5(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # a line that was cut off
            found.append(json.loads(line))
    return found
