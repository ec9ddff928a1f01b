"""The project's model prepared for comparing tasks: its space, its known tasks, and predictions for a new one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.drawers import Ids
from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.errors import DataError, KshotError, NotConverged
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.inference import Inference, classifier_for, inference_file, inference_method, load_inference
from kshot.lifecycle.data.packed import image_ids, read_classes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.stages.features import inputs_of
from kshot.methods.mann import Mann
from kshot.methods.method import Method
from kshot.nets.embedding import WEIGHTS
from kshot.nets.points import Points
from kshot.params.schema import Params
from kshot.params.sections.episodes import Protocol
from kshot.tasks.difficulty import (
    Difficulty,
    DifficultyFeatures,
    difficulty_features,
    fit_difficulty,
    predicted_accuracy,
)
from kshot.tasks.embedding import Task
from kshot.tasks.space import TaskSpace, learn_space, outlyingness

TRAINED_IMAGES, TURNED_IMAGES, UNSEEN_IMAGES = 10, 3, 30  # embedded images per class
WIDEST = 256  # a space with more dimensions is projected to this many at random
# Of the validation tasks that predictions are calibrated on. 2-shot tasks are excluded: leave-one-out leaves a single
# support image, and its noise would make the fit distrust the feature for every shot count.
WAYS, SHOTS = (2, 5, 10, 20, 40), (1, 5, 10)
TASKS_A_SHAPE = 30
DOUBTFUL = 0.02  # largest difference between mean predicted and mean measured accuracy of validation tasks
LIMIT_TASKS = 200  # validation tasks from which a limit is computed
# Most classes in those tasks. If validation classes have only a few groups, tasks of many classes are all alike, and a
# limit computed from them would warn about every new group.
LIMIT_WAYS = 5


@dataclass(frozen=True)
class TaskModel:
    """The model with its points, and what can be predicted from validation classes.

    images      label to the ids of its embedded images; rotated test classes have none
    points      their values, and `narrow` the same for `kshot.tasks.embedding`
    validated   whether there are validation classes that it was not trained on; if not, there is no limit
    difficulty  fitted on tasks of those classes; None if there are none, or no fit
    doubt       why no accuracy is predicted; "" if one is
    """

    method: Method
    inference: Inference
    classes: pd.DataFrame
    images: dict[int, Ids]
    points: Points
    narrow: Points
    space: TaskSpace
    difficulty: Difficulty | None
    accept: float
    validated: bool = False
    doubt: str = ""

    def task(self, support: Ids) -> Task:
        """The labelled task of image ids (n_way, k_shot)."""
        labels = torch.arange(len(support)).repeat_interleave(support.shape[1])
        return Task(self.narrow.values[self.narrow.rows(support.ravel())], labels)

    def predicted(self, found: Sequence[DifficultyFeatures]) -> list[float] | list[None]:
        """The expected accuracy of each task; not calibrated (the first feature) without a fit on validation classes;
        None if `doubt` gives a reason."""
        if self.doubt:
            return [None] * len(found)
        if self.difficulty is None:
            return [features.expected for features in found]
        accuracy: list[float] = predicted_accuracy(found, self.difficulty).tolist()
        return accuracy

    def measured(self, episodes: EpisodeSet) -> NDArray[np.float64] | None:
        """The model's accuracy on episodes of embedded images; None for a method with fewer labels."""
        if isinstance(self.method, Mann) and episodes.classes.shape[1] > self.method.n_way:
            return None
        return accuracies(
            predict_episodes(self.points, episodes, classifier_for(self.method, self.inference.classifier))
        )


def read_task_model(root: Path, params: Params, further: Sequence[Ids] = ()) -> TaskModel:
    """The model in `model/`, with embedded images of every class and those that `further` names.

    Raises DataError if nothing is trained and evaluated yet or the images are not packed, and KshotError for a method
    without a fixed embedding.
    """
    evaluated = root / layout.EVALUATION
    if not (root / layout.MODEL / WEIGHTS).exists() or inference_file(evaluated) is None:
        raise DataError(
            "this folder has no trained and evaluated model yet, or a retraining is at it or was interrupted; tasks "
            "are compared in its space: `kshot retrain`"
        )
    if not (root / layout.PACKED / "manifest.parquet").exists():
        raise DataError(
            f"the packed images, {layout.PACKED}, are not here, as in a clone and after `kshot forget`; "
            "`kshot retrain` makes them"
        )
    inference = load_inference(evaluated)
    method = inference_method(root / layout.MODEL, inference, project_device(root))
    if not method.has_fixed_embedding:
        raise KshotError(
            f"the model is trained by {inference.method}, which adapts the network to each task, so there is no space "
            "to compare tasks in; needs a method with one, such as metric: "
            "`kshot retrain --set train.method.name=metric`"
        )
    classes, manifest = read_classes(root), read_manifest(root)
    trained_on = set(method.embedding.settings.trained_on)
    images = _images(classes, manifest, trained_on)
    points = embed_once(method, inputs_of(root, method.embedding), *images.values(), *further)
    narrow = Points(points.ids, narrowed(points.values))
    known = [label for label in images if classes["class"][label] in trained_on]
    validation = [label for label in images if classes["split"][label] == "val" and label not in set(known)]
    space = learn_space(
        [narrow.values[narrow.rows(images[label])] for label in known],
        [narrow.values[narrow.rows(images[label])] for label in validation or known],
        torch.Generator().manual_seed(0),
    )
    model = TaskModel(method, inference, classes, images, points, narrow, space, None, params.evaluate.accept_known)
    return _with_difficulty(replace(model, validated=True)) if len(validation) > 1 else model


def narrowed(values: Tensor) -> Tensor:
    """Points (N, D) as (N, WIDEST) if D is larger, distances approximately preserved (Johnson, Lindenstrauss 1984)."""
    wide = values.shape[1]
    if wide <= WIDEST:
        return values
    directions = torch.randn(wide, WIDEST, generator=torch.Generator().manual_seed(0), dtype=values.dtype)
    # In float64: far from the origin, a float32 product has too few digits for differences between points.
    narrow: Tensor = (values.double() @ directions.double() / WIDEST**0.5).to(values.dtype)
    return narrow


def limit(model: TaskModel, n_way: int, k_shot: int) -> float | None:
    """The outlyingness that the share `accept` of validation tasks stays below, None without any: tasks with as many
    shots, and as many classes up to LIMIT_WAYS, half of them within one group if groups have that many classes."""
    if not model.validated:
        return None
    labels = [label for label in model.images if model.classes["split"][label] == "val"]
    k_shot = min(k_shot, *(len(model.images[label]) for label in labels))
    drawn: list[float] = []
    for within in (True, False):
        episodes = _draw(model, labels, min(n_way, LIMIT_WAYS, len(labels)), k_shot, 0, LIMIT_TASKS // 2, within)
        for support in episodes.support if episodes is not None else ():
            task = model.task(support)
            drawn.append(outlyingness(task.means, task.counts, model.space))
    return float(np.quantile(drawn, model.accept))


def _images(classes: pd.DataFrame, manifest: pd.DataFrame, trained_on: set[str]) -> dict[int, Ids]:
    part = classes[(classes["rotation"] == 0) | (classes["split"] != "test")]
    found: dict[int, Ids] = {}
    for label, name, turns, ids in zip(
        part.index, part["class"], part["rotation"], image_ids(manifest, part), strict=True
    ):
        trained = TURNED_IMAGES if turns else TRAINED_IMAGES
        most = trained if name in trained_on else UNSEEN_IMAGES
        found[int(label)] = ids[np.linspace(0, len(ids) - 1, min(most, len(ids))).round().astype(int)]
    return found


def _with_difficulty(model: TaskModel) -> TaskModel:
    """The model with predictions calibrated on validation tasks of many shapes, drawn across groups and within one."""
    labels = [label for label in model.images if model.classes["split"][label] == "val"]
    least = min(len(model.images[label]) for label in labels)
    found: list[DifficultyFeatures] = []
    measured: list[float] = []
    for n_way in WAYS:
        for k_shot in SHOTS:
            for within in (True, False):
                n_query = min(15, least - k_shot)
                if n_way > len(labels) or n_query < 1:
                    continue
                episodes = _draw(model, labels, n_way, k_shot, n_query, TASKS_A_SHAPE, within)
                scores = None if episodes is None else model.measured(episodes)
                if episodes is not None and scores is not None:
                    found += [difficulty_features(model.task(support), model.space) for support in episodes.support]
                    measured += scores.tolist()
    try:
        difficulty = fit_difficulty(found, measured)
    except NotConverged as error:
        return replace(model, doubt=str(error))
    return replace(model, difficulty=difficulty, doubt=doubt(found, measured, difficulty))


def doubt(found: Sequence[DifficultyFeatures], measured: Sequence[float], difficulty: Difficulty) -> str:
    """Why predictions cannot be trusted: on the tasks they were calibrated on, 1-shot or others, the means of
    predicted and measured accuracy differ; "" if both differ by at most DOUBTFUL."""
    accuracy = predicted_accuracy(found, difficulty).numpy() if found else np.empty(0)
    single = np.array([features.left_out is None for features in found], dtype=bool)
    for rows, shots in ((single, "1 image"), (~single, "several images")):
        if not rows.any():
            continue
        expected, true = 100 * float(accuracy[rows].mean()), 100 * float(np.array(measured)[rows].mean())
        if abs(expected - true) > 100 * DOUBTFUL:
            return (
                f"over {rows.sum()} validation tasks of {shots} a class the predictions are {expected:.1f} % "
                f"and the measured ones {true:.1f} % on average; needs at most {100 * DOUBTFUL:.0f} points apart"
            )
    return ""


def _draw(
    model: TaskModel, labels: list[int], n_way: int, k_shot: int, n_query: int, count: int, within: bool
) -> EpisodeSet | None:
    """Tasks over the classes `labels`, always the same; None if no group has enough classes."""
    groups = [str(model.classes["group"][label]) for label in labels]
    if within and max(groups.count(group) if group else 0 for group in set(groups)) < n_way:
        return None
    return draw_episodes(
        [model.images[label] for label in labels],
        groups,
        np.array(labels),
        Protocol(n_way, k_shot, within),
        n_query=n_query,
        n_episodes=count,
        generator=np.random.default_rng(0),
    )
