"""Features of several views of each image, stored one view after another, to index like one array."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kshot.data.shards.feature_shards import ShardedFeatures


class FeatureViews:
    """Features (M, V, width) of V views of each image: `views` are arrays (M, width), memory-mapped or in memory."""

    ndim, dtype = 3, np.dtype(np.float32)

    def __init__(self, views: Sequence[NDArray[np.float32] | ShardedFeatures]) -> None:
        self.views = tuple(views)

    def __len__(self) -> int:
        return len(self.views[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """(M, V, width)."""
        return (len(self), len(self.views), self.views[0].shape[1])

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """The features (B, V, width) of these rows."""
        return np.stack([view[rows] for view in self.views], 1)
