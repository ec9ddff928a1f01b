"""Estimates how long a first retraining takes, by timing this machine on some of the project's own images.

What is timed on a CPU is the processor time of one core, divided by the cores: other work does not lengthen it.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import KshotError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import layout
from kshot.params.methods import options_of
from kshot.params.schema import Params, load_params
from kshot.params.sections.train import MOST_CLASSES

if TYPE_CHECKING:
    from kshot.data.images import ImageArray

IMAGES = 16  # that are decoded and embedded to be timed
PASSES = 3
CORES = os.cpu_count() or 1
STAGES_S = 25.0  # the starts of seven stages, the decision and the registration
PREDICTIONS_S = 8.0  # the test episodes of the shipped protocols, with intervals and report
PROJECTION_STEP_S = 0.008  # of a projection on features
TRAINING = 3.0  # a training step beside the forward pass of its images


def expected(root: Path) -> tuple[int, float] | None:
    """The images of the current data version, and seconds; loading the network takes a few more.

    None if there are no images yet, they or the network cannot be had, or the method trains otherwise than in batches.
    """
    data, params = data_versions.current(root), load_params(root / "params.yaml")
    if data is None or not options_of(params.train.method.name).fixed_embedding:
        return None
    import numpy as np
    import pandas as pd

    from kshot.data.images import decode, prepare

    try:
        paths = pd.read_csv(root / layout.RAW / "manifest.csv", usecols=["path"])["path"]
        sample = [root / layout.RAW / path for path in paths.iloc[:: max(1, len(paths) // IMAGES)][:IMAGES]]
        began = time.thread_time()
        pixels = [prepare(decode(path, params.ingest.channels), params.ingest) for path in sample]
        decoding = (time.thread_time() - began) / len(sample) / CORES
        return len(paths), estimate(len(paths), params, decoding, _forward(root, params, np.stack(pixels)))
    except (KshotError, OSError):  # the images of a fresh clone are not here before `dvc pull`
        return None


def estimate(images: int, params: Params, decoding: float, forward: float) -> float:
    """Seconds of all stages, from the seconds of decoding an image and of its forward pass, on all cores.

    A network that is trained embeds the validation images at each validation, and the test images at the end.
    """
    train, split = params.train.for_classes(MOST_CLASSES), params.split
    ingest = images * decoding
    if train.network.is_frozen:
        return STAGES_S + PREDICTIONS_S + ingest + images * forward + train.steps * PROJECTION_STEP_S
    batches = train.steps * train.batch.size * TRAINING
    validations = train.steps / train.validation.every * images * split.val
    return STAGES_S + PREDICTIONS_S + ingest + (batches + validations + images * split.test) * forward


def _forward(root: Path, params: Params, pixels: "ImageArray") -> float:
    """Seconds of an image in a forward pass of a few, without the first pass."""
    import torch

    from kshot.nets.devices import choose_device
    from kshot.nets.embedding import embed_pixels
    from kshot.nets.new_embedding import new_embedding

    device, threads = choose_device(params.train.device), torch.get_num_threads()
    embedding = new_embedding(params, root).to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    clock, cores = (time.thread_time, CORES) if device.type == "cpu" else (time.perf_counter, 1)
    torch.set_num_threads(1)
    try:
        taken = []
        for _ in range(1 + PASSES):
            began = clock()
            embed_pixels(embedding, pixels)
            taken.append(clock() - began)
    finally:
        torch.set_num_threads(threads)
    return min(taken[1:]) / len(pixels) / cores
