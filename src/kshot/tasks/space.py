"""A two-level normal model of a model's embedding space, learned from its own classes, to describe unseen tasks.

Class means are assumed normally distributed about a centre with covariance `between`, and the images of a class about
their mean with covariance `within`, shared by all classes: the two-level model of probabilistic linear discriminant
analysis (Ioffe 2006). With one image a class it is the only information about a class's spread.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

FREQUENCIES = 512
SHRINKAGE = 0.1  # of both covariances towards a sphere: there may be more dimensions than images; only value tested


class TaskSpace(NamedTuple):
    """The result of `learn_space`; D is the width of the points, all float64.

    centre       (D,) mean of the training classes' means
    axes         (D, D) columns in which within is the identity and between diagonal
    ratios       (D,) that diagonal: the spread between classes over the spread within one
    unseen       value of `outlyingness` for the unseen classes, before it is divided by this
    root         (D, D) with root @ root.T = within
    trace        trace of within: mean squared distance of an image to its class's mean
    trace_square trace of within @ within
    frequencies  (FREQUENCIES, D) of the task embedding's Fourier features: see `kshot.tasks.embedding`
    damping      (FREQUENCIES,) w' within w of each frequency w: how much the noise of one image damps it
    """

    centre: Tensor
    axes: Tensor
    ratios: Tensor
    unseen: float
    root: Tensor
    trace: float
    trace_square: float
    frequencies: Tensor
    damping: Tensor


def learn_space(trained: Sequence[Tensor], unseen: Sequence[Tensor], generator: torch.Generator) -> TaskSpace:
    """The space of a model from embedded classes, (K, D) each.

    trained: classes that it was trained on, at least two, for centre and between. unseen: classes that it was not
    trained on, for within, because new classes scatter more than known ones; if there are none, `trained` is used. At
    least one class needs two images. `generator` draws the frequencies.
    """
    counts = torch.tensor([len(points) for points in trained], dtype=torch.float64)
    means = torch.stack([points.double().mean(0) for points in trained])
    within = _within(unseen)
    # Subtract the part of the scatter of the means that comes from the small number of images.
    scatter: Tensor = torch.cov(means.T) - within * (1 / counts).mean()
    values, vectors = torch.linalg.eigh(scatter)
    between = _shrunk((vectors * values.clamp(min=0)) @ vectors.T)
    root = torch.linalg.cholesky(within)
    turned = torch.linalg.solve_triangular(root, between, upper=False)
    ratios, directions = torch.linalg.eigh(torch.linalg.solve_triangular(root, turned.T, upper=False))
    trace = float(within.trace())
    # Kernel width: the median distance of two single images of different classes.
    width = (torch.pdist(means).square().median() + 2 * trace).sqrt()
    shape = (FREQUENCIES, means.shape[1])
    frequencies = torch.randn(shape, generator=generator, dtype=torch.float64) / width
    space = TaskSpace(
        centre=means.mean(0),
        axes=torch.linalg.solve_triangular(root.T, directions, upper=True),
        ratios=ratios.clamp(min=0),
        unseen=1.0,
        root=root,
        trace=trace,
        trace_square=float((within @ within).trace()),
        frequencies=frequencies,
        damping=(frequencies @ root).square().sum(1),
    )
    rest = torch.stack([points.double().mean(0) for points in unseen])
    shots = torch.tensor([len(points) for points in unseen], dtype=torch.float64)
    return space._replace(unseen=outlyingness(rest, shots, space))


def outlyingness(means: Tensor, counts: Tensor, space: TaskSpace) -> float:
    """Distance of a task's classes from the model's training classes; 1 is typical of unseen classes.

    means (C, D) float64, each of `counts` (C,) images. The mean over classes and directions of the squared Mahalanobis
    distance (Lee et al. 2018, arXiv:1807.03888) of a class mean to the centre, divided by its value for the unseen
    classes. The covariance includes the spread of class means and the noise of so few images, so that the numbers of
    classes and images hardly change the expectation.
    """
    along = (means - space.centre) @ space.axes
    return float((along.square() / (space.ratios + 1 / counts[:, None])).mean()) / space.unseen


def _within(classes: Sequence[Tensor]) -> Tensor:
    several = [points.double() for points in classes if len(points) > 1]
    if not several:
        raise ValueError("no class has two images; the spread within a class needs one that has")
    rest = torch.cat([points - points.mean(0) for points in several])
    within = _shrunk(rest.T @ rest / (len(rest) - len(several)))
    # Identical images have no spread: add the least that keeps the matrix invertible.
    return within + 1e-12 * torch.eye(len(within), dtype=within.dtype)


def _shrunk(covariance: Tensor) -> Tensor:
    sphere = covariance.trace() / len(covariance) * torch.eye(len(covariance), dtype=covariance.dtype)
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
