"""The state of one training: its weights, optimizer and random state, advanced, validated, saved and resumed."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kshot.data.augment import random_affine
from kshot.data.augment_photographs import random_photographs
from kshot.data.batches import ClassBalanced, Pixels, gather
from kshot.data.episodes import EpisodeSet
from kshot.errors import TrainingDiverged
from kshot.evaluation.evaluate import accuracies, predict_episodes
from kshot.evaluation.own_predictions import own_scorer
from kshot.first_few import first_few
from kshot.losses.terms import Terms
from kshot.methods.method import Method
from kshot.mining.offline import nearest_classes
from kshot.parallel.gathered import add_up_gradients, gathering
from kshot.parallel.share import Share, World
from kshot.parallel.whole_batch import as_one_batch
from kshot.params.sections.train import Train
from kshot.statistics import mean_interval
from kshot.training.adamw import AdamW
from kshot.training.checkpoint import (
    Checkpoint,
    copy_weights,
    load_checkpoint,
    save_checkpoint,
)
from kshot.training.learning_rates import parameter_groups, rate_share
from kshot.training.random_state import random_state, restore_random_state
from kshot.training.records import Step, Validation
from kshot.training.shared_embedding import embed_shared, points_of

LOG_EVERY = 10  # steps between records; reading the loss more often would stall a GPU
SAVE_EVERY = 20.0  # seconds between checkpoints: the work that a killed training may lose
NOTED = ("step", "seconds", "stale", "best_step", "best_accuracy", "history")  # attributes stored in a checkpoint
VALIDATION_EPISODES = 300  # of the fixed episodes: enough to choose a stopping point, and fast


class TrainingRun:
    """The state that changes during a training."""

    def __init__(
        self, method: Method, params: Train, checkpoint: Path | None, names: Sequence[str], world: World
    ) -> None:
        self.method, self.params, self.path, self.names = method, params, checkpoint, names
        self.device = method.centre.device
        self.share = Share(world, params.batch.size)
        method.prepare(params, len(names))
        as_one_batch(method.embedding, self.share)
        method.to(self.device)
        groups = parameter_groups(method, params.optimizer, params.loss.proxy_learning_rate)
        self.learns = bool(groups)
        self.optimizer = AdamW(groups)
        self.rates = [group["lr"] for group in groups]
        self.generator = torch.Generator().manual_seed(params.seed)
        self.step, self.seconds, self.stale = 0, 0.0, 0
        self.best: dict[str, Tensor] = {}
        self.mined: dict[str, Tensor] = {}
        self.best_step, self.best_accuracy = 0, -1.0
        self.history: list[dict[str, Any]] = []
        self.saved = time.monotonic()
        found = load_checkpoint(checkpoint) if checkpoint is not None else None
        if found is not None:
            self._resume(found)

    def advance(self, images: Pixels, batches: ClassBalanced) -> list[Step]:
        """Train up to the next record."""
        self.method.train()
        params, started = self.params, time.perf_counter()
        batch, every = params.batch, params.validation.every
        taken: list[tuple[Terms, Tensor]] = []
        stop = min(params.steps, (self.step // LOG_EVERY + 1) * LOG_EVERY)
        if self.step < params.steps:
            to_validation = every - self.step % every
            stop = min(stop, self.step + to_validation)
        while self.step < stop:
            if batch.mine_every and self.step and self.step % batch.mine_every == 0:
                self.mine(images, batches)
            share = rate_share(self.step, params.steps, params.optimizer.warmup_steps)
            for group, rate in zip(self.optimizer.groups, self.rates, strict=True):
                group["lr"] = rate * share
            ids, labels = batches.draw(self.generator, self.mined.get("neighbours"))
            pixels = self.inputs(images, ids)
            with gathering(self.method.embedding, self.share):
                terms = self.method.loss(pixels, labels.to(self.device), self.generator)
            self.optimizer.zero_grad()
            terms.loss.backward()  # type: ignore[no-untyped-call]
            add_up_gradients(self.method.embedding, self.method.parameters(), self.share.world)
            self.optimizer.step()
            # Read later: reading a number from a GPU at each step would stall it.
            taken.append((terms._replace(loss=terms.loss.detach()), labels))
            self.step += 1
        mean = float(torch.stack([terms.loss for terms, _ in taken]).mean())
        elapsed = time.perf_counter() - started  # after `mean`, which waits for a GPU
        self.seconds += elapsed
        self._check_finite(taken)
        shares = [terms.active for terms, _ in taken if terms.active is not None]
        still = round(float(torch.stack(shares).mean()), 6) if shares else None
        rate = params.optimizer.learning_rate * share
        return [Step(self.step, round(mean, 6), still, rate, round(len(taken) * batch.size / elapsed, 1))]

    def inputs(self, images: Pixels, ids: Tensor) -> Tensor:
        """This process's rows of the batch `ids`: images changed at random, floating, or features as they are."""
        settings, share = self.params.augment, self.share
        if images.ndim == 2:  # features, which are computed once, from images without augmentation
            return gather(images, ids[share.rows]).to(self.device, non_blocking=True)
        if not settings.of_photographs:
            pixels = gather(images, ids[share.rows]).to(self.device, non_blocking=True)
        else:  # torchvision draws for one image after the other: each process changes all of them
            pixels = gather(images, ids).to(self.device, non_blocking=True)
            pixels = random_photographs(pixels, settings, self.generator, self.method.embedding.input.size)[share.rows]
        return random_affine(pixels.float(), settings, self.generator, self.params.task_augment, share)

    def mine(self, images: Pixels, batches: ClassBalanced) -> None:
        """Find each class's nearest classes, using as many images of each as a batch has."""
        everyone = torch.arange(len(batches.ids))
        ids, labels = batches.of_classes(everyone, self.generator)
        points = embed_shared(self.method, images, ids.numpy(), self.share.world)
        if not points.isfinite().all():
            return  # reported, with its step and classes, at the end of this record
        found = nearest_classes(points.to(self.device), labels.to(self.device), self.params.batch.mine_neighbours)
        self.mined = {"neighbours": found.cpu()}

    def _check_finite(self, taken: Sequence[tuple[Terms, Tensor]]) -> None:
        fine = torch.stack([terms.loss for terms, _ in taken]).isfinite().tolist()
        if all(fine):
            return
        first = fine.index(False)
        step = self.step - len(taken) + first
        drawn = [self.names[label] for label in taken[first][1].unique()]  # type: ignore[no-untyped-call]
        optimizer = self.params.optimizer
        rate = optimizer.learning_rate * rate_share(step, self.params.steps, optimizer.warmup_steps)
        raise TrainingDiverged(
            f"embeddings or the loss were NaN or infinite at step {step + 1} with learning rate {rate:.2g}, "
            f"in a batch of {first_few(drawn)}; "
            "lower train.optimizer.learning_rate, or set train.precision: float32"
        )

    def validate(self, images: Pixels, episodes: EpisodeSet) -> Validation:
        started = time.perf_counter()
        part = episodes.first(VALIDATION_EPISODES)
        points = points_of(self.method, images, (part.support, part.query), self.share.world)
        accuracy = mean_interval(accuracies(predict_episodes(points, part, own_scorer(self.method))))
        # Of equal accuracies the later weights have seen more images, and an equal one is no sign of a decline.
        best = accuracy.mean >= self.best_accuracy
        if best:
            self.best, self.best_step, self.best_accuracy = (
                copy_weights(self.method),
                self.step,
                accuracy.mean,
            )
        self.stale = 0 if best else self.stale + 1
        self.seconds += time.perf_counter() - started
        return Validation(self.step, accuracy.mean, accuracy.low, accuracy.high, best)

    def keep(self, records: Sequence[Step | Validation]) -> Sequence[Step | Validation]:
        self.history += [asdict(record) for record in records]
        return records

    def save_when_due(self) -> None:
        if self.path is None or not self.share.world.is_first or time.monotonic() - self.saved < SAVE_EVERY:
            return
        self.saved = time.monotonic()
        generators, others = random_state(self.device)
        notes = {**{name: getattr(self, name) for name in NOTED}, "random": others}
        found = Checkpoint(
            weights=self.method.state_dict(),
            best=self.best,
            optimizer=self.optimizer.tensors(),
            mined=self.mined,
            generators={"batches": self.generator.get_state(), **generators},
            notes=notes,
        )
        save_checkpoint(found, self.path)

    def _resume(self, found: Checkpoint) -> None:
        self.method.load_state_dict(found.weights)
        self.optimizer.restore(found.optimizer)
        self.mined = found.mined
        self.generator.set_state(found.generators["batches"])
        restore_random_state(found.generators, found.notes["random"], self.device)
        self.best = {key: tensor.to(self.device) for key, tensor in found.best.items()}
        for name in NOTED:
            setattr(self, name, found.notes[name])
