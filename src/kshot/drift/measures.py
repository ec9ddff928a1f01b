"""Measures how far new images drifted from those that a model was trained on, with a limit for each measure.

Every measure is a number that grows with the distance from the training images. Its values without drift are estimated
from held-out images, of classes that the model has never seen: samples of them are drawn in the shape of the new one,
with as many classes, images and groups. Classes, not images, are drawn, because images of one class are similar and
carry less information than their number suggests.

The limits of all measures are set together: each at `usual + factor * (high - usual)`, where usual and high are the
median and 95 % quantile of the drawn samples. One factor for all measures is chosen so that the share FALSE_ALARMS of
the drawn samples is beyond any limit (the step-down idea of Westfall and Young 1993, with one step). A limit is never
lower than the smallest difference worth reporting (FLOORS).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.drift.appearance import Appearance
from kshot.tasks.embedding import Embedded, Task, embed_task, squared_distances
from kshot.tasks.space import TaskSpace, outsideness

FALSE_ALARMS = 0.01  # share of held-out samples that any measure may call drifted
DRAWS = 500  # held-out samples
HIGH = 0.95  # their quantile that a measure is scaled by
LEVELS = np.linspace(0, 1, 101)

APPEARANCE = Appearance._fields
SPACE = ("distance", "unknown", "place")
TASK = ("outside", "task")
# Differences too small to report, whatever the statistics: in octaves, shares of the range, and shares of the median.
FLOORS = {
    "size": 0.1,
    "brightness": 0.02,
    "contrast": 0.02,
    "clipped": 0.05,
    "sharpness": 0.2,
    "distance": 0.03,
    "unknown": 0.05,
}


class Sample(NamedTuple):
    """N images, described by the inputs of the measures.

    appearance_stats  (N, 5) float64, the columns of `Appearance`
    labels    (N,) int64 in [0, C)
    points    (N, D) float32, None for a model without a fixed embedding
    distance  (N,) float64 Euclidean distance to the nearest mean of a training class
    unknown   (N,) float64, 1 if the image is of no class known to the model, else 0; None without a threshold
    fourier     (N, 2 * FREQUENCIES) float32, `fourier_features` of the points
    """

    appearance_stats: NDArray[np.float64]
    labels: NDArray[np.int64]
    points: Tensor | None = None
    distance: NDArray[np.float64] | None = None
    unknown: NDArray[np.float64] | None = None
    fourier: Tensor | None = None


class Trained(NamedTuple):
    """The reference for new images.

    Quantiles of the training images' `appearance_stats` at LEVELS (101, 5) and the mean of their fourier; the training
    classes as one task; the space; and the mean distance of held-out images to the training classes.
    """

    appearance_stats: NDArray[np.float64]
    place: Tensor | None = None
    task: Embedded | None = None
    space: TaskSpace | None = None
    held_out_distance: float = 1.0


class Shape(NamedTuple):
    """The shape of a sample: the number of images of each class, and the number of groups; 0 groups if unknown."""

    counts: tuple[int, ...]
    groups: int = 0


class Measure(NamedTuple):
    """One measure of a new sample.

    statistic, and its limit; usual, the median of the held-out samples; chance, the share of them (including the new
    one) that are at least as far.
    """

    name: str
    statistic: float
    usual: float
    limit: float
    chance: float

    @property
    def drifted(self) -> bool:
        return self.statistic > self.limit


def appearance_quantiles(appearance_stats: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantiles of the training images' appearance statistics (N, 5), as stored in `Trained`."""
    found: NDArray[np.float64] = np.quantile(appearance_stats, LEVELS, axis=0)
    return found


def fourier_features(points: Tensor, space: TaskSpace) -> Tensor:
    """Random Fourier features of images (Rahimi and Recht 2007): points (N, D) to (N, 2 * FREQUENCIES) float32.

    The distance of two samples' means is the maximum mean discrepancy of a Gaussian kernel (Gretton et al. 2012).
    """
    phase = points.double() @ space.frequencies.T
    fourier: Tensor = torch.cat([phase.cos(), phase.sin()], 1) / len(space.frequencies) ** 0.5
    return fourier.float()


def statistics(sample: Sample, trained: Trained, *, labelled: bool) -> dict[str, float]:
    """The statistics of all measures that the sample allows; if `labelled`, with two classes or more, also the task's.

    size ... sharpness  mean distance of the quantiles, the Wasserstein distance of order 1, in each column's own unit
    distance  mean distance to the nearest training class, divided by that of held-out images
    unknown   share of images of no known class
    place     maximum mean discrepancy to the training images
    outside   `kshot.tasks.space.outsideness` of the classes
    task      squared distance of the task to the training classes as one task, `kshot.tasks.embedding`
    """
    apart = np.abs(np.quantile(sample.appearance_stats, LEVELS, axis=0) - trained.appearance_stats).mean(0)
    found = dict(zip(APPEARANCE, apart.tolist(), strict=True))
    if sample.points is None or sample.distance is None or sample.fourier is None or trained.space is None:
        return found
    assert trained.place is not None
    found["distance"] = float(sample.distance.mean()) / trained.held_out_distance
    if sample.unknown is not None:
        found["unknown"] = float(sample.unknown.mean())
    found["place"] = float((sample.fourier.mean(0) - trained.place).norm())
    names, labels = np.unique(sample.labels, return_inverse=True)
    if labelled and len(names) > 1 and trained.task is not None:
        task = Task(sample.points, torch.from_numpy(labels))
        found["outside"] = outsideness(task.means, task.counts, trained.space)
        found["task"] = float(squared_distances([embed_task(task, trained.space)], [trained.task]))
    return found


def take(sample: Sample, rows: NDArray[np.int64]) -> Sample:
    """The images `rows` of a sample."""
    return Sample(*(None if column is None else column[rows] for column in sample))  # type: ignore[arg-type]


def held_samples(
    labels: NDArray[np.int64], groups: Sequence[str], shape: Shape, generator: np.random.Generator, draws: int = DRAWS
) -> Iterator[NDArray[np.int64]]:
    """Draw rows of held-out images in the shape of a new sample, `draws` times.

    labels (N,) of the held-out images; groups[c], the group of their class c, '' for none. If the number of groups of
    the new sample is unknown, every other sample is from a single group.

    A drawn sample has somewhat fewer classes than the new one, n' instead of n of the K held-out ones, because it is
    drawn without replacement from the classes that also set the limits: the variance of its mean, 1/n' - 1/K, then
    equals that of a new sample's, 1/n + 1/K.
    """
    rows = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    members: dict[str, list[int]] = {}
    for label in rows:
        members.setdefault(groups[label], []).append(label)
    named = [group for group in members if group and len(members[group]) > 1]
    new = len(shape.counts)
    # Never below two classes: a task needs at least two.
    n_way = max(min(new, 2), int(new * len(rows) / (len(rows) + 2 * new)))
    for number in range(draws):
        wanted = shape.groups or (1 if number % 2 else 0)
        pool = list(rows)
        if wanted and named:
            chosen = generator.permutation(len(named))[:wanted]
            pool = [label for place in chosen for label in members[named[place]]]
        classes = generator.permutation(pool)[:n_way]
        counts = generator.permutation(np.array(shape.counts))[: len(classes)]
        yield np.concatenate(
            [generator.permutation(rows[int(label)])[:count] for label, count in zip(classes, counts, strict=True)]
        )


def judge(found: dict[str, float], drawn: Sequence[dict[str, float]]) -> list[Measure]:
    """The measures of a new sample, with limits from the statistics of held-out samples."""
    names = [name for name in found if all(name in one for one in drawn)]
    table = np.array([[one[name] for name in names] for one in drawn])
    floors = np.array([FLOORS.get(name, 0.0) for name in names])
    usual = np.median(table, 0)
    # Measures that hardly vary are scaled by their floor, so that rounding errors do not determine all limits.
    scale = np.maximum(np.quantile(table, HIGH, axis=0) - usual, np.maximum(floors, np.finfo(np.float64).tiny))
    factor = max(1.0, float(np.quantile(((table - usual) / scale).max(1), 1 - FALSE_ALARMS)))
    limits = usual + factor * scale
    measures = []
    for place, name in enumerate(names):
        beyond = int((table[:, place] >= found[name]).sum())
        measures.append(
            Measure(name, found[name], float(usual[place]), float(limits[place]), (beyond + 1) / (len(table) + 1))
        )
    return measures
