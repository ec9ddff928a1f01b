"""Spaces for tasks: a labelled set of embedded images as one point, whatever its order, its classes and its shots.

A task stands for the distribution that its classes are drawn from, seen through class means m_c of K_c images each. Its
embedding is that distribution's characteristic function at fixed random frequencies w (random Fourier features, Rahimi
and Recht 2007), and the distance of two tasks is the maximum mean discrepancy of a Gaussian kernel (Gretton et al.
2012) between their distributions of classes:

    z_c(w)   = exp(i w.m_c) exp(w'Sw / 2K_c)   S the covariance within a class
    task(w)  = mean over its classes of z_c(w)
    d(a, b)² = <a, a> + <b, b> - 2 <a, b>      <., .> the mean over w; <a, a> without a class's product with itself

The second factor undoes, in expectation, the blur that the mean of K_c images has; leaving out the products of a class
with itself undoes what few classes add. So d² is unbiased: tasks of one distribution have d² of mean zero, of few
shots as of many, of few classes as of many. An estimate below zero is read as zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kshot.tasks.space import TaskSpace


class Task(NamedTuple):
    """A labelled set: points (N, D) of its images, labels (N,) int64 in [0, n_way), every class present."""

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
    """A task as a point: vector (2 * FREQUENCIES,) float64, cosines then sines; and the unbiased <a, a>."""

    vector: Tensor
    itself: float


class Plane(NamedTuple):
    """Two directions of the space of tasks: origin (2 * FREQUENCIES,), directions (2 * FREQUENCIES, 2)."""

    origin: Tensor
    directions: Tensor


def embed_task(task: Task, space: TaskSpace) -> Embedded:
    """The embedding of a task with two classes at least; the order of classes and images changes nothing."""
    means, counts = task.means, task.counts
    n_way = len(means)
    if n_way < 2:
        raise ValueError(f"a task of {n_way} class; needs at least 2")
    phase = means @ space.frequencies.T
    sharper = ((space.frequencies @ space.root).square().sum(1) / (2 * counts[:, None])).exp()
    waves = torch.cat([phase.cos() * sharper, phase.sin() * sharper], 1) / len(space.frequencies) ** 0.5
    total = waves.sum(0)
    return Embedded(total / n_way, float((total.square().sum() - waves.square().sum()) / (n_way * (n_way - 1))))


def squared_distances(a: Sequence[Embedded], b: Sequence[Embedded]) -> Tensor:
    """Unbiased estimates of the squared distances, (A, B) float64, about zero or below for tasks that are alike."""
    left, right = (torch.stack([task.vector for task in tasks]) for tasks in (a, b))
    own, other = (torch.tensor([task.itself for task in tasks], dtype=torch.float64) for tasks in (a, b))
    return own[:, None] + other[None, :] - 2 * left @ right.T


def distances(a: Sequence[Embedded], b: Sequence[Embedded]) -> Tensor:
    """Distances (A, B) in about [0, 1.4]: symmetric, zero for equal tasks.

    The distances that they estimate obey the triangle inequality; the estimates do up to their noise, and the Euclidean
    distances of the vectors, which know nothing of noise, always.
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
    """Where tasks stand on a map, (T, 2) float64: a new task moves none of those that the plane was laid through."""
    return (torch.stack([task.vector for task in tasks]) - plane.origin) @ plane.directions
