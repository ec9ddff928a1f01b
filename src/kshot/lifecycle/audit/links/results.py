"""Checks that the recorded accuracies follow from the stored predictions, episode by episode."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kshot.first_few import first_few
from kshot.lifecycle.audit import reading
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.data.dvc_cache import folder_md5
from kshot.lifecycle.gate import first_decisions
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.registry import registration
from kshot.lifecycle.tracking.run_content import final_metrics, training_metrics
from kshot.statistics import Interval, mean_interval

EPISODES = "episodes.parquet"
EXACT = 1e-12  # summing in another order may change the last digit
ROUNDED = 0.51e-6  # reports/metrics.json has six digits


def accuracies(subject: Subject) -> str:
    """Check that the predictions are those stage evaluate wrote, and that every figure follows. Raises Broken."""
    folder = predictions(subject)
    figures = json.loads(_as_written(subject, layout.METRICS).read_text(encoding="utf-8"))
    space = json.loads(_as_written(subject, layout.SPACE).read_text(encoding="utf-8"))
    table = pd.read_parquet(folder / EPISODES)
    found = means(table, figures.get("intervals", 1))
    of_run = {name: [score["mean"], score["low"], score["high"]] for name, score in figures["accuracy"].items()}
    compare(layout.METRICS.name, of_run, found, ROUNDED)
    compare(f"tag {registration.ACCURACY} of version {subject.version}", _tagged(subject), found, ROUNDED)
    metrics = dict(subject.run.data.metrics) if subject.run else {}
    expected = {**final_metrics(figures), **training_metrics(space)}
    kinds = tuple({f"{name.partition('/')[0]}/" for name in expected})
    if added := sorted(name for name in metrics.keys() - expected.keys() if name.startswith(kinds)):
        raise Broken(f"MLflow has a metric of which run {subject.run_id} keeps no result: {first_few(added)}")
    for name, value in expected.items():
        if metrics.get(name) != value:
            raise Broken(
                f"metric {name} in MLflow does not follow from the results that run {subject.run_id} keeps",
                metrics.get(name, "nothing"),
                value,
            )
    text = ", ".join(f"{name} {100 * score.mean:.2f} %" for name, score in found.items())
    return f"{text}: from the {len(table):,} predicted episodes that the run stores, the same in MLflow"


def predictions(subject: Subject) -> Path:
    """The folder with the model's predictions. Raises Broken if it is not as stage evaluate wrote it."""
    folder, recorded = subject.file(layout.EVALUATION.name), str(subject.output(layout.EVALUATION.as_posix())["md5"])
    found = folder_md5(folder, [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()])
    if found != recorded:
        raise Broken(f"the answers that run {subject.run_id} keeps are not as they were written", recorded, found)
    return folder


def episodes(subject: Subject) -> pd.DataFrame:
    """The model's accuracy in every episode. Raises Broken as `answers` does."""
    return pd.read_parquet(predictions(subject) / EPISODES)


def means(table: pd.DataFrame, intervals: int) -> dict[str, Interval]:
    """The mean and interval of each protocol's episodes; `intervals` is the number of the method."""
    if intervals == 1:
        return first_decisions.means(table)
    return {str(name): mean_interval(part["accuracy"]) for name, part in table.groupby("protocol", sort=False)}


def compare(what: str, recorded: Mapping[str, Any], found: Mapping[str, Interval], tolerance: float = EXACT) -> None:
    """Raise Broken if recorded figures by protocol differ from those found."""
    for name in sorted(recorded.keys() | found.keys()):
        if name not in recorded or name not in found or not _same(recorded[name], found[name], tolerance):
            raise Broken(
                f"{name} in {what} does not follow from the predicted episodes",
                _figures_text(recorded.get(name)),
                _figures_text(found.get(name)),
            )


def _tagged(subject: Subject) -> dict[str, Any]:
    """The accuracies on the version. Raises Broken for a tag without three numbers per protocol."""
    what, text = f"tag {registration.ACCURACY} of version {subject.version}", subject.tag("accuracy")
    found = reading.mapping(what, reading.json_of(what, text))
    for score in found.values():
        if not (isinstance(score, list) and len(score) == 3 and all(isinstance(one, int | float) for one in score)):
            raise Broken(f"{what} does not hold three numbers a protocol", "mean, low, high", text)
    return found


def _same(recorded: Sequence[float], found: Sequence[float], tolerance: float) -> bool:
    """Whether mean and ends are equal within `tolerance`; a single episode has no ends (NaN)."""
    pairs = zip(recorded, found, strict=True)
    return all(
        math.isclose(one, other, rel_tol=0, abs_tol=tolerance) or (math.isnan(one) and math.isnan(other))
        for one, other in pairs
    )


def _as_written(subject: Subject, place: Path) -> Path:
    path, recorded = subject.file(place.name), subject.output(place.as_posix())["md5"]
    if (found := file_md5(path)) != recorded:
        raise Broken(f"{place.name} of run {subject.run_id} is not as it was written", recorded, found)
    return path


def _figures_text(figures: Sequence[float] | None) -> str:
    return "nothing" if figures is None else f"{figures[0]:.6f} [{figures[1]:.6f}, {figures[2]:.6f}]"
