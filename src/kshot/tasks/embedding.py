"""Task embeddings: a labelled set of embedded images as one point, for any order, number of classes and shots.

A task represents the distribution that its classes are drawn from, observed as class means m_c of K_c images each. Its
embedding is that distribution's characteristic function at fixed random frequencies w (random Fourier features, Rahimi
and Recht 2007), and the distance of two tasks is the maximum mean discrepancy of a Gaussian kernel (Gretton et al.
2012) between their distributions of classes:

    z_c(w)   = exp(i w.m_c) exp(w'Sw / 2K_c)   S the covariance within a class
    task(w)  = mean over its classes of z_c(w)
    d(a, b)² = <a, a> + <b, b> - 2 <a, b>      <., .> the mean over w; <a, a> without a class's product with itself

In expectation, the second factor corrects the noise in the mean of K_c images, and leaving out the products of a class
with itself corrects for a small number of classes. So d² is unbiased: for tasks of the same distribution it has mean
zero, whatever the number of shots and classes. Estimates below zero are treated as zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kshot.tasks.space import TaskSpace


class Task(NamedTuple):
    """A labelled set: points (N, D) of its images; labels (N,) int64 in [0, n_way), every class present."""

    points: Tensor
    labels: Tensor

    @property
    def counts(self) -> Tensor:
        """Images of each class, (n_way,) float64."""
        return self.labels.bincount().double()

    @property
    def means(self) -> Tensor:
        """The classes' means, (n_way, D) float64."""
        counts = self.counts
        sums = torch.zeros(len(counts), self.points.shape[1], dtype=torch.float64)
        return sums.index_add_(0, self.labels, self.points.double()) / counts[:, None]


class Embedded(NamedTuple):
    """An embedded task: vector (2 * FREQUENCIES,) float64, cosines then sines; and the unbiased <a, a>."""

    vector: Tensor
    itself: float


class Plane(NamedTuple):
    """A plane in the space of tasks: origin (2 * FREQUENCIES,), directions (2 * FREQUENCIES, 2)."""

    origin: Tensor
    directions: Tensor


def embed_task(task: Task, space: TaskSpace) -> Embedded:
    """Embed a task with at least two classes; the order of classes and images does not matter."""
    means, counts = task.means, task.counts
    n_way = len(means)
    if n_way < 2:
        raise ValueError(f"a task of {n_way} class; needs at least 2")
    phase = means @ space.frequencies.T
    sharper = (space.damping / (2 * counts[:, None])).exp()
    fourier = torch.cat([phase.cos() * sharper, phase.sin() * sharper], 1) / len(space.frequencies) ** 0.5
    total = fourier.sum(0)
    return Embedded(total / n_way, float((total.square().sum() - fourier.square().sum()) / (n_way * (n_way - 1))))


def squared_distances(a: Sequence[Embedded], b: Sequence[Embedded]) -> Tensor:
    """Unbiased estimates of the squared distances, (A, B) float64; near zero, possibly below, for similar tasks."""
    left, right = (torch.stack([task.vector for task in tasks]) for tasks in (a, b))
    own, other = (torch.tensor([task.itself for task in tasks], dtype=torch.float64) for tasks in (a, b))
    return own[:, None] + other[None, :] - 2 * left @ right.T


def distances(a: Sequence[Embedded], b: Sequence[Embedded]) -> Tensor:
    """Distances (A, B) in about [0, 1.4]: symmetric, zero for equal tasks.

    The true distances obey the triangle inequality, and the estimates obey it up to their noise. The Euclidean
    distances of the vectors, which are not corrected for noise, always obey it.
    """
    return squared_distances(a, b).clamp(min=0).sqrt()


def widest_plane(known: Sequence[Embedded]) -> Plane:
    """The two directions in which `known` tasks differ most (principal components), signs fixed; for a map."""
    vectors = torch.stack([task.vector for task in known])
    origin = vectors.mean(0)
    _, _, directions = torch.linalg.svd(vectors - origin, full_matrices=False)
    axes = directions[:2].T
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return Plane(origin, torch.nn.functional.pad(axes, (0, 2 - axes.shape[1])))


def on_plane(tasks: Sequence[Embedded], plane: Plane) -> Tensor:
    """Project tasks on a map, (T, 2) float64; a new task does not move those that define the plane."""
    return (torch.stack([task.vector for task in tasks]) - plane.origin) @ plane.directions
