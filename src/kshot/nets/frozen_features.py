"""Features of images from a frozen backbone, whose bits do not depend on the images that are computed with them."""

import numpy as np
import torch
from numpy.typing import NDArray

from kshot.data.batches import Pixels, gather
from kshot.nets.embedding import Embedding, in_precision
from kshot.nets.shifted_views import views


class FrozenFeatures:
    """Computes the features of `seen` views of each image.

    embedding: on its device, in evaluation mode. Every batch has `batch_size` images, because a convolution may round
    differently in a batch of another size: the last one is filled up with its own images.
    """

    def __init__(self, embedding: Embedding, pixels: Pixels, *, seen: int, batch_size: int, bf16: bool) -> None:
        self.embedding, self.pixels = embedding, pixels
        self.seen, self.batch_size, self.bf16 = seen, batch_size, bf16

    def __call__(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The features (V, M, width) of the images and rotations with these `ids` (M,)."""
        found = np.empty((self.seen, len(ids), self.embedding.width), np.float32)
        device = self.embedding.mean.device
        with in_precision(self.embedding, bf16=self.bf16), torch.inference_mode():
            for start in range(0, len(ids), self.batch_size):
                part = ids[start : start + self.batch_size]
                batch = torch.from_numpy(np.resize(part, self.batch_size))
                for view, shown in enumerate(views(gather(self.pixels, batch).to(device), self.seen)):
                    made = self.embedding.features(shown)[: len(part)]
                    found[view, start : start + len(part)] = made.float().cpu().numpy()
        return found
