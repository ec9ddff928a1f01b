"""Images as points: their ids and embeddings."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kshot.data.episodes import Ids


class Points(NamedTuple):
    """Embedded images: `values` (M, D) float32, row i the image `ids[i]`; `ids` (M,) ascending."""

    ids: Ids
    values: Tensor

    def rows(self, ids: Ids) -> Tensor:
        """Where `ids`, of any shape, stand among the values."""
        return torch.from_numpy(np.searchsorted(self.ids, ids))
