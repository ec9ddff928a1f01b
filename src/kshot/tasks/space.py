"""What a model's own classes say about tasks it has not seen: how its space is filled, and how far a class scatters.

Class means are taken for normally distributed about a centre with covariance `between`, the images of a class about
their mean with covariance `within`, one for all classes: the two-level model of probabilistic linear discriminant
analysis (Ioffe 2006). With one image a class it is all that there is to know of a class's spread.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FREQUENCIES = 512
SHRINKAGE = 0.1  # of both covariances towards a sphere: spaces wider than there are images; other values are untested


class TaskSpace(NamedTuple):
    """What `learn_space` finds; D is the width of the points, all float64.

    centre       (D,) mean of the training classes' means
    axes         (D, D) columns in which within is the identity and between diagonal
    ratios       (D,) that diagonal: the spread between classes over the spread within one
    usual        what `outsideness` is of the unseen classes, before it is divided by this
    root         (D, D) with root @ root.T = within
    trace        trace of within: mean squared distance of an image to its class's mean
    trace_square trace of within @ within
    frequencies  (FREQUENCIES, D) of the task embedding's waves: see `kshot.tasks.embedding`
    """

    centre: Tensor
    axes: Tensor
    ratios: Tensor
    usual: float
    root: Tensor
    trace: float
    trace_square: float
    frequencies: Tensor


def learn_space(trained: Sequence[Tensor], unseen: Sequence[Tensor], generator: torch.Generator) -> TaskSpace:
    """The space of a model from embedded classes, (K, D) each.

    trained: classes that it was trained on, two at least, for centre and between. unseen: classes that it was not, for
    within, because new classes scatter more than known ones; where there are none, the same again. Some class needs
    two images. `generator` draws the frequencies.
    """
    counts = torch.tensor([len(points) for points in trained], dtype=torch.float64)
    means = torch.stack([points.double().mean(0) for points in trained])
    within = _within(unseen)
    # What the classes' own few images add to the scatter of their means is taken off.
    scatter: Tensor = torch.cov(means.T) - within * (1 / counts).mean()
    values, vectors = torch.linalg.eigh(scatter)
    between = _shrunk((vectors * values.clamp(min=0)) @ vectors.T)
    root = torch.linalg.cholesky(within)
    turned = torch.linalg.solve_triangular(root, between, upper=False)
    ratios, directions = torch.linalg.eigh(torch.linalg.solve_triangular(root, turned.T, upper=False))
    trace = float(within.trace())
    # The kernel is as wide as two single images of different classes are usually apart.
    width = (torch.pdist(means).square().median() + 2 * trace).sqrt()
    shape = (FREQUENCIES, means.shape[1])
    space = TaskSpace(
        centre=means.mean(0),
        axes=torch.linalg.solve_triangular(root.T, directions, upper=True),
        ratios=ratios.clamp(min=0),
        usual=1.0,
        root=root,
        trace=trace,
        trace_square=float((within @ within).trace()),
        frequencies=torch.randn(shape, generator=generator, dtype=torch.float64) / width,
    )
    rest = torch.stack([points.double().mean(0) for points in unseen])
    shots = torch.tensor([len(points) for points in unseen], dtype=torch.float64)
    return space._replace(usual=outsideness(rest, shots, space))


def outsideness(means: Tensor, counts: Tensor, space: TaskSpace) -> float:
    """How far a task's classes lie from where the model's training classes lie: 1 is as far as unseen ones usually do.

    means (C, D) float64, each of `counts` (C,) images. The mean over classes and directions of the squared Mahalanobis
    distance (Lee et al. 2018, arXiv:1807.03888) of a class mean to the centre, under the spread of class means and
    what so few images add to it, over that of the unseen classes: neither the number of classes nor that of images
    moves its expectation much.
    """
    along = (means - space.centre) @ space.axes
    return float((along.square() / (space.ratios + 1 / counts[:, None])).mean()) / space.usual


def _within(classes: Sequence[Tensor]) -> Tensor:
    several = [points.double() for points in classes if len(points) > 1]
    if not several:
        raise ValueError("no class has two images; the spread within a class needs one that has")
    rest = torch.cat([points - points.mean(0) for points in several])
    within = _shrunk(rest.T @ rest / (len(rest) - len(several)))
    # Images that are all alike have no spread: the least that can still be inverted.
    return within + 1e-12 * torch.eye(len(within), dtype=within.dtype)


def _shrunk(covariance: Tensor) -> Tensor:
    sphere = covariance.trace() / len(covariance) * torch.eye(len(covariance), dtype=covariance.dtype)
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
