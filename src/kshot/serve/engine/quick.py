"""Measures whether a model's forward pass is short enough for the event loop to run it."""

import statistics
import time

import numpy as np
import torch

from kshot.estimator.few_shot_classifier import FewShotModel
from kshot.nets.embedding import embed_pixels

QUICK_S = 0.001  # processor time of one image on one core: so long every other request waits
PASSES = 9


def is_quick(model: FewShotModel) -> bool:
    """Whether one image's forward pass on one core takes less than QUICK_S. False for a method that adapts, and a GPU.

    The time is the processor's, so that a busy machine gives the same.
    """
    method, ingest = model.method, model.ingest
    if not method.has_fixed_embedding or next(method.parameters()).device.type != "cpu":
        return False
    pixels = np.zeros((1, ingest.size, ingest.size, ingest.channels), dtype=np.uint8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken = []
        for _ in range(PASSES):
            began = time.thread_time()
            embed_pixels(method, pixels)
            taken.append(time.thread_time() - began)
            if taken[-1] > 20 * QUICK_S:
                return False
        return statistics.median(taken) < QUICK_S
    finally:
        torch.set_num_threads(before)
