"""How long stages took, one line a stage that ran, in .kshot/stages.jsonl: what a retraining is likely to take."""

import json
import statistics
from pathlib import Path
from typing import Any

from kshot.lifecycle import layout
from kshot.lifecycle.files import exclusive
from kshot.sections import read_mapping

FILE = layout.STATE / "stages.jsonl"
LAST = 5  # runs that count: a machine and a data set change
BY_STEPS = "train"  # its time grows with train.steps


def note(root: Path, stage: str, seconds: float) -> None:
    """Note that `stage` ran for so many seconds with the params as they are."""
    line = json.dumps({"stage": stage, "seconds": round(seconds, 2), "steps": steps(root)})
    with exclusive(root, "stages"), (root / FILE).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def expected(root: Path, stage: str) -> float | None:
    """The median of what `stage` took the last times, in seconds; a training's by the step. None for a stage that
    never ran here."""
    found = [line for line in _lines(root / FILE) if line["stage"] == stage][-LAST:]
    if not found:
        return None
    if stage == BY_STEPS:
        return float(statistics.median(line["seconds"] / line["steps"] for line in found)) * steps(root)
    return float(statistics.median(line["seconds"] for line in found))


def steps(root: Path) -> int:
    """train.steps of params.yaml."""
    return int(read_mapping(root / "params.yaml")["train"]["steps"])


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
