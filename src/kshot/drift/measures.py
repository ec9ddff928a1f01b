"""Whether new images are like those that a model was trained on, and which measure says that they are not.

Every measure is a number that grows with the distance from the training images. How large it gets without any drift
is learned from images that were held back from training, of classes that the model has never seen: samples of them
are drawn in the shape of the new one, as many classes with as many images, within as many groups. Classes, not
images, are drawn, because those of one class are alike and tell less than their number says.

The limits of all measures are set together: each at `usual + factor * (high - usual)` of the drawn samples, median and
95 % quantile, with one factor for all, such that the share FALSE_ALARMS of the drawn samples is beyond any limit (the
step-down idea of Westfall and Young 1993, with one step). A limit never lies below what is worth telling (`Floor`).
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

FALSE_ALARMS = 0.01  # share of held-back samples that any measure may call drifted
DRAWS = 500  # held-back samples
HIGH = 0.95  # the quantile of them that a measure is scaled by
LEVELS = np.linspace(0, 1, 101)

LOOKS = Appearance._fields
SPACE = ("distance", "unknown", "place")
TASK = ("outside", "task")
# What is too little to be told, whatever the statistics: in octaves, shares of the range, and shares of what is usual.
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
    """N images as the measures see them.

    looks     (N, 5) float64, the columns of `Appearance`
    labels    (N,) int64 in [0, C)
    points    (N, D) float32, None for a model without a space
    distance  (N,) float64 Euclidean distance to the nearest mean of a training class
    unknown   (N,) float64, 1 where the image is of no class known to the model, else 0; None without a threshold
    waves     (N, 2 * FREQUENCIES) float32, `image_waves` of the points
    """

    looks: NDArray[np.float64]
    labels: NDArray[np.int64]
    points: Tensor | None = None
    distance: NDArray[np.float64] | None = None
    unknown: NDArray[np.float64] | None = None
    waves: Tensor | None = None


class Trained(NamedTuple):
    """What new images are compared with: of the training images `looks` at LEVELS (101, 5) and the mean of the
    waves; their classes as one task; the space; and the mean distance of held-back images to the training classes."""

    looks: NDArray[np.float64]
    place: Tensor | None = None
    task: Embedded | None = None
    space: TaskSpace | None = None
    usual_distance: float = 1.0


class Shape(NamedTuple):
    """How a sample is laid out: images of each class, and how many groups the classes are of; 0 where nobody knows."""

    counts: tuple[int, ...]
    groups: int = 0


class Measure(NamedTuple):
    """One measure of a new sample. statistic, and its limit; usual, the median of held-back samples; chance, the share
    of them (the new one counted in) that lie as far."""

    name: str
    statistic: float
    usual: float
    limit: float
    chance: float

    @property
    def drifted(self) -> bool:
        return self.statistic > self.limit


def trained_looks(looks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantiles of training images' looks (N, 5) that `Trained` holds."""
    found: NDArray[np.float64] = np.quantile(looks, LEVELS, axis=0)
    return found


def image_waves(points: Tensor, space: TaskSpace) -> Tensor:
    """Random Fourier features of images (Rahimi and Recht 2007), points (N, D) to (N, 2 * FREQUENCIES) float32: the
    distance of two samples' means is the maximum mean discrepancy of a Gaussian kernel (Gretton et al. 2012)."""
    phase = points.double() @ space.frequencies.T
    waves: Tensor = torch.cat([phase.cos(), phase.sin()], 1) / len(space.frequencies) ** 0.5
    return waves.float()


def statistics(sample: Sample, trained: Trained, *, labelled: bool) -> dict[str, float]:
    """Measure to its statistic, those that the sample allows; with two classes or more, `labelled`, the task's too.

    looks     mean distance of the quantiles, the Wasserstein distance of order 1, in each one's own unit
    distance  mean distance to the nearest training class, over that of held-back images
    unknown   share of images of no known class
    place     maximum mean discrepancy to the training images
    outside   `kshot.tasks.space.outsideness` of the classes
    task      squared distance of the task to the training classes as one task, `kshot.tasks.embedding`
    """
    apart = np.abs(np.quantile(sample.looks, LEVELS, axis=0) - trained.looks).mean(0)
    found = dict(zip(LOOKS, apart.tolist(), strict=True))
    if sample.points is None or sample.distance is None or sample.waves is None or trained.space is None:
        return found
    assert trained.place is not None
    found["distance"] = float(sample.distance.mean()) / trained.usual_distance
    if sample.unknown is not None:
        found["unknown"] = float(sample.unknown.mean())
    found["place"] = float((sample.waves.mean(0) - trained.place).norm())
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
    """Rows of held-back images in the shape of a new sample, `draws` times.

    labels (N,) of the held-back images; groups[c], '' for none, of their class c. Where nobody knows how many groups
    the new one has, every other sample is of one group.

    A sample has somewhat fewer classes than the new one, n' instead of n of K held-back ones, because it is drawn from
    those that the limits are about: 1/n' - 1/K, what its mean scatters by, is 1/n + 1/K, what a new sample's does.
    """
    rows = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    members: dict[str, list[int]] = {}
    for label in rows:
        members.setdefault(groups[label], []).append(label)
    named = [group for group in members if group and len(members[group]) > 1]
    asked = len(shape.counts)
    # Two classes stay two: a task has no less.
    n_way = max(min(asked, 2), int(asked * len(rows) / (len(rows) + 2 * asked)))
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
    """The measures of a new sample with their limits, from those of held-back samples."""
    names = [name for name in found if all(name in one for one in drawn)]
    table = np.array([[one[name] for name in names] for one in drawn])
    floors = np.array([FLOORS.get(name, 0.0) for name in names])
    usual = np.median(table, 0)
    # What hardly varies is scaled by what is worth telling, so that rounding does not set every limit.
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
