"""The training loop: a generator of records that the caller writes, plots or ignores."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.batches import ClassBalanced, Pixels
from kshot.data.episodes import EpisodeSet
from kshot.methods.method import Method
from kshot.nets.embedding import embed, in_precision
from kshot.nets.memory import peak_memory
from kshot.parallel.share import ALONE, World
from kshot.params.sections.train import Train
from kshot.training.records import Done, Record
from kshot.training.training_run import TrainingRun

CENTRE_IMAGES = 2000  # sample size for the mean of all training images


def meta_train(
    method: Method,
    images: Pixels,
    members: Sequence[NDArray[np.integer[Any]]],
    names: Sequence[str],
    params: Train,
    *,
    groups: Sequence[str] = (),
    validation: EpisodeSet | None,
    checkpoint: Path | None = None,
    world: World = ALONE,
) -> Iterator[Record | dict[str, Any]]:
    """Train `method` in place on its device, yielding records during the training.

    members     the ids of the images of each class
    names       the names of the classes, for messages
    groups      the groups of the classes, for `params.batch.classes_of_group`
    validation  episodes that are predicted every `params.validation.every` steps and after the last one. The final
                weights are those with the highest accuracy, the later of equals. Training stops after
                `params.validation.patience` validations in a row below it; patience 0 returns the last weights
    checkpoint  file from which a killed training resumes, to the same weights; the records that it had already yielded
                come first again, as mappings
    world       which of several processes this is. Each of them calls this function with the same arguments, random
                state and weights, and all get the same records and weights as one process; the first one writes the
                checkpoint

    Raises TrainingDiverged if an embedding or the loss is not finite.
    """
    batches = ClassBalanced(
        members, names, params.batch.class_count, params.batch.images, groups, params.batch.classes_of_group
    )
    with in_precision(method.embedding, bf16=params.precision == "bf16"):
        run, schedule = TrainingRun(method, params, checkpoint, names, world), params.validation
        yield from run.history
        steps = params.steps if run.learns else 0
        stopped = ""
        while run.step < steps:
            yield from run.keep(run.advance(images, batches))
            if validation is not None and (run.step % schedule.every == 0 or run.step == steps):
                yield from run.keep([run.validate(images, validation)])
                if schedule.patience and run.stale >= schedule.patience:
                    stopped = f"stopped, as the last {schedule.patience} validations were below the best; "
                    break
            run.save_when_due()
        chosen = "kept the last step" if run.learns else "nothing to train"
        if run.best and schedule.patience:
            method.load_state_dict(run.best)
            chosen = f"kept step {run.best_step}, the best on validation"
        if method.has_fixed_embedding:
            method.centre.copy_(centre(method, images, np.concatenate(members)))
        yield Done(run.step, True, stopped + chosen, round(run.seconds, 1), round(peak_memory(run.device) / 1e6))


def centre(method: Method, images: Pixels, ids: NDArray[np.integer[Any]]) -> Tensor:
    """The mean embedding (D,) in float32 of the images with the given `ids`, or of a random CENTRE_IMAGES of them."""
    chosen = np.random.default_rng(0).permutation(ids)[:CENTRE_IMAGES]
    with in_precision(method.embedding, bf16=False):
        return embed(method, images, chosen).mean(0)
