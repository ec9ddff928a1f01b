"""Reads the training log as metrics for MLflow while it grows, each point once."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Metric

CURVES = {
    "loss": "train/loss",
    "active": "train/active_share",
    "learning_rate": "train/learning_rate",
    "images_per_s": "train/images_per_s",
    "features_per_s": "train/features_per_s",  # with a frozen backbone: no image passes through it while training
    "val_accuracy": "val/accuracy",
    "val_low": "val/accuracy_low",
    "val_high": "val/accuracy_high",
}


class Curves:
    """The points of the training log `path` that were not recorded yet.

    The file may be absent, may grow, and may be rewritten by a training that resumes after a stop: the new file begins
    with the steps that are already recorded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at_first = identity(path)
        self._looked_at = self._at_first
        self._taken: set[tuple[str, int]] = set()

    def is_training(self) -> bool:
        """Whether a training is writing the log: it has changed since the last look and is not finished.

        The log of a training that DVC restored appears finished at once.
        """
        found = identity(self.path)
        if found is None or found in (self._at_first, self._looked_at):
            return False
        self._looked_at = found
        lines = read_log(self.path)
        return bool(lines) and not lines[-1].get("done")

    def fresh(self) -> "list[Metric]":
        """The points not yet passed to `taken`, in the file's order."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points: dict[tuple[str, int], Metric] = {}
        for line in read_log(self.path):
            for key, name in CURVES.items():
                place = (name, line["step"])
                if place not in self._taken and is_number(line.get(key)):
                    points[place] = Metric(name, float(line[key]), now, line["step"])
        return list(points.values())

    def taken(self, points: "list[Metric]") -> None:
        """Mark `points` as recorded."""
        self._taken |= {(point.key, point.step) for point in points}


def read_log(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a training log; a line still being written is skipped."""
    try:
        text = path.read_bytes()
    except OSError:
        return []
    return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def identity(path: Path) -> tuple[int, int, int] | None:
    """Distinguishes one version of a file from another; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_number(value: object) -> bool:
    """Whether MLflow can store `value` as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
