"""The training loop: a generator of records that the caller writes, plots or ignores."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.augment import random_affine
from kshot.batches import ClassBalanced, Pixels, gather, split_support
from kshot.checkpoint import (
    Checkpoint,
    copy_weights,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from kshot.embedding import Embedding
from kshot.episodes import EpisodeSet
from kshot.errors import TrainingDiverged
from kshot.evaluation import accuracies, answer_episodes, embed_once
from kshot.losses import contrastive_loss, prototypical_loss, triplet_loss
from kshot.params import Train
from kshot.statistics import mean_interval

LOG_EVERY = 10  # steps between records; reading the loss more often would make a GPU wait
SAVE_EVERY = 20.0  # seconds of work that a killed training may lose
VALIDATION_EPISODES = 300  # of the fixed ones: enough to choose a stopping point, quick enough to do often


@dataclass(frozen=True)
class Step:
    """The mean loss of the last steps, up to `step`, and how fast they were."""

    step: int
    loss: float
    learning_rate: float
    images_per_s: float


@dataclass(frozen=True)
class Validation:
    """Accuracy on the validation episodes after `step`, its 95 % interval, and whether it is the best so far."""

    step: int
    val_accuracy: float
    val_low: float
    val_high: float
    best: bool


@dataclass(frozen=True)
class Done:
    """The last record: why training ended after `step`, and the seconds it took, those before a resumption included."""

    step: int
    done: bool
    reason: str
    seconds: float


Record = Step | Validation | Done


def meta_train(
    embedding: Embedding,
    images: Pixels,
    members: Sequence[NDArray[np.integer[Any]]],
    names: Sequence[str],
    params: Train,
    *,
    validation: EpisodeSet | None,
    checkpoint: Path | None = None,
) -> Iterator[Record | dict[str, Any]]:
    """Train `embedding` in place on the device it is on, yielding records as it goes.

    members: class by class, the ids of its images; names: theirs, for messages. With `validation`, the weights at the
    end are those that answered its episodes best, and training stops after `params.patience` validations without a
    better one; patience 0 keeps the last weights. With `checkpoint`, a training that was killed goes on where it was,
    to the same weights; what it had already yielded comes first again, as mappings. Raises TrainingDiverged where the
    loss is no longer a number.
    """
    run = _Run(embedding, params, checkpoint)
    batches = ClassBalanced(members, names, params.classes_per_batch, params.images_per_class)
    yield from run.history
    reason = f"all {params.steps} steps done"
    while run.step < params.steps:
        yield from run.keep(run.advance(images, batches))
        if validation is not None and run.step % params.validate_every == 0:
            yield from run.keep([run.validate(images, validation)])
            if params.patience and run.stale >= params.patience:
                reason = f"no better validation in {params.patience} looks"
                break
        run.save_when_due()
    if run.best and params.patience:
        embedding.load_state_dict(run.best)
        reason += f"; the weights of step {run.best_step} were kept"
    yield Done(run.step, True, reason, round(run.seconds, 1))


class _Run:
    """What changes while a training goes on."""

    def __init__(self, embedding: Embedding, params: Train, checkpoint: Path | None) -> None:
        self.embedding, self.params, self.path = embedding, params, checkpoint
        self.device = embedding.mean.device
        learned = [parameter for parameter in embedding.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=params.learning_rate, weight_decay=params.weight_decay)
        self.generator = torch.Generator().manual_seed(params.seed)
        self.step, self.seconds, self.stale = 0, 0.0, 0
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_accuracy = 0, -1.0
        self.history: list[dict[str, Any]] = []
        self.saved = time.monotonic()
        found = load_checkpoint(checkpoint) if checkpoint is not None else None
        if found is not None:
            self._resume(found)

    def advance(self, images: Pixels, batches: ClassBalanced) -> list[Step]:
        """Train up to the next record."""
        self.embedding.train()
        params, losses, started = self.params, [], time.perf_counter()
        stop = min(params.steps, (self.step // LOG_EVERY + 1) * LOG_EVERY)
        if self.step < params.steps:
            to_validation = params.validate_every - self.step % params.validate_every
            stop = min(stop, self.step + to_validation)
        while self.step < stop:
            rate = learning_rate(self.step, params)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            ids, labels = batches.draw(self.generator)
            pixels = gather(images, ids).to(self.device, non_blocking=True).float()
            pixels = random_affine(pixels, params.augment, self.generator)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=params.precision == "bf16"):
                points = self.embedding(pixels)
            loss = OBJECTIVES[params.loss](points, labels.to(self.device), params)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            losses.append(loss.detach())
            self.step += 1
        mean = float(torch.stack(losses).mean())
        elapsed = time.perf_counter() - started
        self.seconds += elapsed
        if not math.isfinite(mean):
            raise TrainingDiverged(
                f"the loss was {mean} at step {self.step} with learning rate {rate:.2g}; "
                "lower train.learning_rate, or set train.precision: float32"
            )
        per_batch = params.classes_per_batch * params.images_per_class
        return [Step(self.step, round(mean, 6), rate, round(len(losses) * per_batch / elapsed, 1))]

    def validate(self, images: Pixels, episodes: EpisodeSet) -> Validation:
        started = time.perf_counter()
        part = episodes.first(VALIDATION_EPISODES)
        points = embed_once(self.embedding, images, part.support, part.query, autocast=self.params.precision == "bf16")
        accuracy = mean_interval(accuracies(answer_episodes(points, part)))
        better = accuracy.mean > self.best_accuracy
        if better:
            self.best, self.best_step, self.best_accuracy = (
                copy_weights(self.embedding),
                self.step,
                accuracy.mean,
            )
        self.stale = 0 if better else self.stale + 1
        self.seconds += time.perf_counter() - started
        return Validation(self.step, accuracy.mean, accuracy.low, accuracy.high, better)

    def keep(self, records: Sequence[Step | Validation]) -> Sequence[Step | Validation]:
        self.history += [asdict(record) for record in records]
        return records

    def save_when_due(self) -> None:
        if self.path is None or time.monotonic() - self.saved < SAVE_EVERY:
            return
        self.saved = time.monotonic()
        names = ("step", "seconds", "stale", "best_step", "best_accuracy", "history")
        notes = {name: getattr(self, name) for name in names}
        weights, moments = self.embedding.state_dict(), optimizer_tensors(self.optimizer)
        save_checkpoint(Checkpoint(weights, self.best, moments, self.generator.get_state(), notes), self.path)

    def _resume(self, found: Checkpoint) -> None:
        self.embedding.load_state_dict(found.weights)
        restore_optimizer(self.optimizer, found.optimizer)
        self.generator.set_state(found.generator)
        self.best = {key: tensor.to(self.device) for key, tensor in found.best.items()}
        for name, value in found.notes.items():
            setattr(self, name, value)


def learning_rate(step: int, params: Train) -> float:
    """Linear warm-up, then half a cosine down to 0 at the last step (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    share = (step - params.warmup_steps) / max(1, params.steps - params.warmup_steps)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def _prototypical(points: Tensor, labels: Tensor, params: Train) -> Tensor:
    support, query = split_support(labels, params.images_per_class, params.k_shot)
    return prototypical_loss(points[support], labels[support], points[query], labels[query])


def _contrastive(points: Tensor, labels: Tensor, params: Train) -> Tensor:
    assert params.margin is not None
    return contrastive_loss(points, labels, margin=params.margin)


def _triplet(points: Tensor, labels: Tensor, params: Train) -> Tensor:
    assert params.margin is not None and params.mining is not None
    return triplet_loss(points, labels, margin=params.margin, mining=params.mining)


OBJECTIVES = {"prototypical": _prototypical, "contrastive": _contrastive, "triplet": _triplet}
