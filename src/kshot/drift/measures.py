"""The measures of drift: each is a number that grows with the distance of new images from the training images."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.drift.appearance import Appearance
from kshot.tasks.embedding import Embedded, Task, embed_task, squared_distances
from kshot.tasks.space import TaskSpace, outlyingness

LEVELS = np.linspace(0, 1, 101)
APPEARANCE = Appearance._fields
SPACE = ("distance", "unknown", "mmd")
TASK = ("outlyingness", "task")


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

    appearance_stats   (101, 5) quantiles of the training images' statistics at LEVELS
    mean_fourier       (2 * FREQUENCIES,) mean of the training images' Fourier features
    task               the training classes as one task
    space              of the model; None, as the two above, without a fixed embedding
    held_out_distance  mean distance of held-out images to the nearest training class
    """

    appearance_stats: NDArray[np.float64]
    mean_fourier: Tensor | None = None
    task: Embedded | None = None
    space: TaskSpace | None = None
    held_out_distance: float = 1.0


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
    distance      mean distance to the nearest training class, divided by that of held-out images
    unknown       share of images of no known class
    mmd           maximum mean discrepancy to the training images
    outlyingness  of the classes (`kshot.tasks.space`)
    task          squared distance of the task to the training classes as one task (`kshot.tasks.embedding`)
    """
    apart = np.abs(np.quantile(sample.appearance_stats, LEVELS, axis=0) - trained.appearance_stats).mean(0)
    found = dict(zip(APPEARANCE, apart.tolist(), strict=True))
    if sample.points is None or sample.distance is None or sample.fourier is None or trained.space is None:
        return found
    assert trained.mean_fourier is not None
    found["distance"] = float(sample.distance.mean()) / trained.held_out_distance
    if sample.unknown is not None:
        found["unknown"] = float(sample.unknown.mean())
    found["mmd"] = float((sample.fourier.mean(0) - trained.mean_fourier).norm())
    names, labels = np.unique(sample.labels, return_inverse=True)
    if labelled and len(names) > 1 and trained.task is not None:
        task = Task(sample.points, torch.from_numpy(labels))
        found["outlyingness"] = outlyingness(task.means, task.counts, trained.space)
        found["task"] = float(squared_distances([embed_task(task, trained.space)], [trained.task]))
    return found


def take(sample: Sample, rows: NDArray[np.int64]) -> Sample:
    """The images `rows` of a sample."""
    return Sample(*(None if column is None else column[rows] for column in sample))  # type: ignore[arg-type]
