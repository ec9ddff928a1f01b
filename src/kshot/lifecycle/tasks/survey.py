"""Compares the tasks of the project and of a source: difficulty, nearest tasks, and whether a task is an outlier."""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kshot.data.episodes import EpisodeSet
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.project import layout, progress
from kshot.lifecycle.stages.evaluation.predictions import test_protocols
from kshot.lifecycle.tasks.disagreement import disagreement
from kshot.lifecycle.tasks.source import read_tasks
from kshot.lifecycle.tasks.task_model import LIMIT_WAYS, TaskModel, limit, read_task_model
from kshot.lifecycle.tasks.task_row import TaskRow, Trust
from kshot.params.schema import Params
from kshot.statistics import Interval, rank_correlation
from kshot.tasks.difficulty import difficulty_features
from kshot.tasks.embedding import Task, distances, embed_task, on_plane, squared_distances, widest_plane
from kshot.tasks.space import outlyingness

NEAREST = 3
NEW = "new"
JUDGED = 200  # test episodes of each protocol that predictions are compared with
SETS = 12  # tasks per split if the data has no groups
MOST_WAYS, MOST_QUERIES = 20, 15  # of those tasks


@dataclass(frozen=True)
class Survey:
    """The survey of tasks.

    rows        tasks, the source's own first
    trust       one entry per protocol
    accept      share of validation tasks below a limit
    calibrated  whether there were validation classes to calibrate predictions on
    notes       notes on how the source was read
    doubt       why no accuracy is predicted, "" if one is
    """

    rows: tuple[TaskRow, ...]
    trust: tuple[Trust, ...]
    accept: float
    calibrated: bool
    notes: tuple[str, ...]
    doubt: str = ""


@dataclass(frozen=True)
class _Known:
    name: str
    split: str
    labels: list[int]


def survey(root: Path, params: Params, source: str | None = None, shots: int = 5) -> Survey:
    """The map of the project's tasks with `shots` images per class; a source's tasks use all their images.

    Writes nothing. Raises DataError if there is no model yet or the source cannot be used, and KshotError for a method
    without a fixed embedding.
    """
    episodes = {name: read_episodes(root, "test", name).first(JUDGED) for name in test_protocols(root)}
    progress.step("embedding the project's images")
    model = read_task_model(root, params, [one.support for one in episodes.values()])
    new, notes = _new_tasks(root, source, model)
    rows = _rows(model, new, _known(model), shots)
    progress.step("comparing predictions with the test episodes")
    trust = _trust(root, model, episodes)
    doubt = model.doubt or disagreement(rows, trust)
    if doubt:
        rows = [replace(row, predicted=None) for row in rows]
    return Survey(tuple(rows), trust, model.accept, model.validated, notes, doubt)


def _new_tasks(root: Path, source: str | None, model: TaskModel) -> tuple[dict[str, Task], tuple[str, ...]]:
    """The tasks of the source by name, and notes on how it was read; neither without a source."""
    if source is None:
        return {}, ()
    progress.step(f"looking through {source}")
    found = read_tasks(root, source, model.method)
    return found.tasks, found.notes


def _rows(model: TaskModel, new: dict[str, Task], known: list[_Known], shots: int) -> list[TaskRow]:
    """The figures of the new tasks, then of the known ones."""
    tasks = [*new.values(), *(model.task(_support(model, one, shots)) for one in known)]
    names = [*((name, NEW) for name in new), *((one.name, one.split) for one in known)]
    points = [embed_task(task, model.space) for task in tasks]
    known_points = points[len(new) :]
    plane = widest_plane(known_points)
    progress.step(f"distances of {len(points)} tasks")
    distance, order = distances(points, known_points), squared_distances(points, known_points).argsort(1)
    predicted = model.predicted([difficulty_features(task, model.space) for task in tasks])
    counted = progress.counted(known, len(known), "measuring task")
    measured = [None] * len(new) + [_measured(model, one, shots) for one in counted]
    limits = {shape: limit(model, *shape) for shape in dict.fromkeys(map(_shape, tasks))}
    rows = []
    for place, ((name, split), task) in enumerate(zip(names, tasks, strict=True)):
        others = [other for other in order[place].tolist() if other + len(new) != place]
        x, y = on_plane([points[place]], plane)[0].tolist()
        rows.append(
            TaskRow(
                name=name,
                split=split,
                classes=len(task.counts),
                images=len(task.labels),
                shots=round(float(task.counts.mean()), 2),
                predicted=predicted[place],
                measured=measured[place],
                nearest=tuple((known[one].name, round(float(distance[place, one]), 4)) for one in others[:NEAREST]),
                outlyingness=outlyingness(task.means, task.counts, model.space),
                limit=limits[_shape(task)] if split != "train" else None,
                x=x,
                y=y,
            )
        )
    return rows


def _shape(task: Task) -> tuple[int, int]:
    """The number of classes, and of images a class, that the limit for an outlier depends on."""
    return min(len(task.counts), LIMIT_WAYS), max(1, round(float(task.counts.mean())))


def write_json(found: Survey, path: Path) -> None:
    """Write the survey as a JSON object; NaN becomes null."""
    content: dict[str, Any] = asdict(found)
    for row, one in zip(content["rows"], found.rows, strict=True):
        row["is_outlier"] = one.is_outlier
    for entry, trust in zip(content["trust"], found.trust, strict=True):
        entry["correlation"] = {
            key: None if math.isnan(value) else value for key, value in trust.correlation._asdict().items()
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _known(model: TaskModel) -> list[_Known]:
    """The project's own tasks: its groups, separately per split, or sets of classes if it has no groups."""
    upright = model.classes[model.classes["rotation"] == 0]
    found = []
    for split in ("train", "val", "test"):
        part = upright[upright["split"] == split]
        groups = [(str(name), rows.index.tolist()) for name, rows in part.groupby("group") if name and len(rows) > 1]
        if not groups:
            n_way = max(2, min(MOST_WAYS, len(part) // 2))
            labels = part.index.to_numpy()[np.random.default_rng(0).permutation(len(part))]
            sets = [labels[first : first + n_way].tolist() for first in range(0, len(labels) - n_way + 1, n_way)]
            groups = [(f"{split} classes {number + 1}", members) for number, members in enumerate(sets[:SETS])]
        found += [_Known(name, split, members) for name, members in groups]
    several = pd.Series([one.name for one in found]).duplicated(keep=False)
    return [
        _Known(f"{one.name} ({one.split})", one.split, one.labels) if twice else one
        for one, twice in zip(found, several, strict=True)
    ]


def _support(model: TaskModel, known: _Known, shots: int) -> NDArray[np.int64]:
    """The first images of each class, at most `shots`, with one left over in the smallest: (n_way, k_shot)."""
    least = min(len(model.images[label]) for label in known.labels)
    return np.stack([model.images[label][: max(1, min(shots, least - 1))] for label in known.labels])


def _measured(model: TaskModel, known: _Known, shots: int) -> float | None:
    """The accuracy on the images that are not support; None for classes that the model was trained on."""
    support = _support(model, known, shots)
    k_shot = support.shape[1]
    least = min(len(model.images[label]) for label in known.labels)
    trained_on = set(model.method.embedding.settings.trained_on)
    if least <= k_shot or trained_on & set(model.classes["class"][known.labels]):
        return None
    stop = min(least, k_shot + MOST_QUERIES)
    query = np.stack([model.images[label][k_shot:stop] for label in known.labels])
    scores = model.measured(EpisodeSet(support[None], query[None], np.array([known.labels])))
    return None if scores is None else float(scores[0])


def _trust(root: Path, model: TaskModel, episodes_of: dict[str, EpisodeSet]) -> tuple[Trust, ...]:
    """Predictions from the support of test episodes, compared with the accuracies measured by stage evaluate."""
    table = pd.read_parquet(root / layout.EVALUATION / "episodes.parquet")
    found = []
    for name, episodes in episodes_of.items():
        measured = (
            table[table["protocol"] == name].sort_values("episode")["accuracy"].to_numpy()[: len(episodes.support)]
        )
        predicted = model.predicted(
            [difficulty_features(model.task(support), model.space) for support in episodes.support]
        )
        expected = np.array(predicted, dtype=np.float64)  # NaN if nothing is predicted
        correlation = Interval(*[math.nan] * 3) if model.doubt else rank_correlation(expected, measured)
        mean = None if model.doubt else float(expected.mean())
        found.append(Trust(name, len(measured), mean, float(np.mean(measured)), correlation))
    return tuple(found)
