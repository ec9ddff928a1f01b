"""Small data and trainings of every kind for benchmarks/gpu.py: the loop of stage train, without a project."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kshot.data.batches import Pixels
from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.estimator.train_settings import train_settings
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.own_predictions import own_scorer
from kshot.methods.maml import InnerLoop, Maml
from kshot.methods.method import Method
from kshot.nets.embedding import Embedding
from kshot.nets.new_embedding import new_embedding, settings
from kshot.params.schema import Params
from kshot.params.sections.episodes import Protocol
from kshot.training.loop import meta_train
from kshot.training.new_method import new_method
from kshot.training.random_state import deterministic
from kshot.training.records import Step

QUERIES = 3


@dataclass(frozen=True)
class Data:
    """Classes that are patterns under noise. images (N, S, S, C) uint8; members: the image ids of each class."""

    images: NDArray[np.uint8]
    members: list[NDArray[np.int64]]

    @property
    def names(self) -> list[str]:
        return [f"class {number}" for number in range(len(self.members))]

    def episodes(self, n_way: int, count: int) -> EpisodeSet:
        """The same `count` 1-shot episodes whenever this is called."""
        return draw_episodes(
            self.members,
            [""] * len(self.members),
            np.arange(len(self.members)),
            Protocol(n_way, 1, False),
            n_query=QUERIES,
            n_episodes=count,
            generator=np.random.default_rng(0),
        )


@dataclass(frozen=True)
class Trained:
    """A trained method, its recorded losses, and the median rate after the first record, in images/s of wall clock."""

    method: Method
    losses: tuple[float, ...]
    rate: float


def draw(classes: int, images: int, size: int, channels: int = 1) -> Data:
    """The same data whenever this is called."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 2, (classes, 1, 4, 4, channels)) * 120
    pixels = patterns.repeat(size // 4, 2).repeat(size // 4, 3) + random.integers(
        0, 130, (classes, images, size, size, channels)
    )
    members = [np.arange(start, start + images) for start in range(0, classes * images, images)]
    return Data(pixels.reshape(-1, size, size, channels).astype(np.uint8), members)


def params_of(data: Data, **changes: Any) -> Params:
    """The shipped settings with `changes`, for this data. Words are those of `kshot.train`."""
    size, channels = data.images.shape[1], data.images.shape[3]
    return train_settings(
        {"size": size, "channels": channels, "precision": "float32", "patience": 0, "seed": 0, **changes},
        len(data.members),
        len(data.members[0]),
    )


def with_lora(params: Params, backbone: str, size: int) -> tuple[Params, Embedding]:
    """LoRA on a timm backbone with random weights, which is as fast as one with published weights."""
    # Settings refuse LoRA on random weights; the name of a file that is never opened stands for trained ones.
    network = replace(
        params.train.network, backbone=backbone, adaptation="lora", input_size=size, checkpoint="random.safetensors"
    )
    changed = replace(params, train=replace(params.train, network=network))
    return changed, Embedding(settings(changed))


def train(
    data: Data,
    params: Params,
    device: torch.device,
    *,
    inputs: Pixels | None = None,
    embedding: Embedding | None = None,
) -> Trained:
    """Train as stage train does, from the same weights on every device; `inputs` are the pixels, by default in memory.

    Rates are of the wall clock between two records: the loop waits for the device before it yields one.
    """
    with deterministic(params.train.seed, device):
        embedding = embedding or new_embedding(params, Path())
        method, _ = new_method(embedding, params.train, data.names)
        method = method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        per_batch = params.train.batch.size
        losses, rates, step, began = [], [], 0, time.perf_counter()
        pixels = data.images if inputs is None else inputs
        for record in meta_train(method, pixels, data.members, data.names, params.train, validation=None):
            if isinstance(record, Step):
                now = time.perf_counter()
                rates.append((record.step - step) * per_batch / (now - began))
                losses.append(record.loss)
                step, began = record.step, now
    return Trained(method, tuple(losses), median(rates[1:] or rates))


def accuracy(method: Method, data: Data, episodes: EpisodeSet) -> float:
    """Mean accuracy on `episodes`, by the method's own classifier."""
    points = embed_once(method, data.images, episodes.support, episodes.query)
    return float(accuracies(predict_episodes(points, episodes, own_scorer(method))).mean())


def bare_rate(network: nn.Module, pixels: Tensor, calls: int, *, bf16: bool, compiler: str | None = None) -> float:
    """Images a second of forward and backward passes of a network alone, the median of `calls` after two.

    compiler: the backend of torch.compile; None: without it.
    """
    network.train()
    forward = torch.compile(network, backend=compiler) if compiler else network
    times = []
    for _ in range(calls + 2):
        synchronize(pixels.device)
        began = time.perf_counter()
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bf16):
            points = forward(pixels)
        points.float().square().mean().backward()
        synchronize(pixels.device)
        times.append(time.perf_counter() - began)
        for parameter in network.parameters():
            parameter.grad = None
    return len(pixels) / median(times[2:])


def seconds_of_maml(data: Data, n_way: int, device: torch.device, calls: int, *, batched: bool) -> tuple[float, Tensor]:
    """Median seconds of MAML's loss with second derivatives and its gradient, and that gradient, on one batch.

    The batch has every image of `data`: len(data.members) / n_way tasks with one support image a class.
    """
    torch.manual_seed(0)
    embedding = new_embedding(params_of(data, method="maml"), Path())
    method = Maml(embedding, n_way, 1, InnerLoop(steps=5, test_steps=5, rate=0.01), batched=batched).to(device)
    pixels = torch.from_numpy(data.images).to(device).movedim(-1, 1).float() / 255
    labels = torch.repeat_interleave(torch.arange(len(data.members)), len(data.members[0])).to(device)
    trained, times, gradient = [one for one in method.parameters() if one.requires_grad], [], torch.zeros(0)
    for _ in range(calls + 1):
        synchronize(device)
        began = time.perf_counter()
        loss = method.loss(pixels, labels, torch.Generator().manual_seed(0)).loss
        slopes = torch.autograd.grad(loss, trained, allow_unused=True)
        synchronize(device)
        times.append(time.perf_counter() - began)
        gradient = torch.cat([slope.flatten().cpu() for slope in slopes if slope is not None])
    return median(times[1:]), gradient


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()
