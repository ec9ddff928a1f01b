"""Fits principal components to the training images after a method is trained."""

import numpy as np
from numpy.typing import NDArray

from kshot.data.batches import Pixels
from kshot.methods.method import Method
from kshot.nets.embedding import projected
from kshot.nets.pca import principal_axes
from kshot.params.sections.train_sections import Reduce
from kshot.training.loop import centre

MOST_IMAGES = 20_000  # their points in float64 take 0.2 GB with 1,024 numbers each


def fit_reduction(method: Method, inputs: Pixels, ids: NDArray[np.int64], reduce: Reduce) -> float:
    """Fit principal components to the training images with the given `ids`, or to a random MOST_IMAGES of them.

    Returns the share of the variance that the components explain.
    """
    embedding = method.embedding
    chosen = ids if len(ids) <= MOST_IMAGES else np.random.default_rng(0).choice(ids, MOST_IMAGES, replace=False)
    found = principal_axes(projected(embedding, inputs, chosen), reduce.dim, whiten=reduce.whiten)
    embedding.reduce(found.axes.to(method.centre.device), found.offset.to(method.centre.device))
    method.centre = centre(method, inputs, ids).to(method.centre.device)
    return found.kept
