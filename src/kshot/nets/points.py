"""Embedded images: their ids and embeddings."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kshot.data.drawers import Ids


class Points(NamedTuple):
    """Embedded images: `values` (M, D) float32, row i for the image `ids[i]`; `ids` (M,) ascending."""

    ids: Ids
    values: Tensor

    def rows(self, ids: Ids) -> Tensor:
        """The rows of `ids`, of any shape, in `values`."""
        return torch.from_numpy(np.searchsorted(self.ids, ids))
