"""The parts of benchmarks/gpu.py: what is measured on a GPU, and beside what.

Tolerances against the CPU, in float32 without TF32: recorded losses within LOSS of each other after the same steps
from the same weights; accuracy within POINTS; a loss and its gradient within VALUE for the same points. GRADIENT is for
MAML's second derivatives through five steps, by `vmap` and by a loop on one device, as the norm of their difference: in
float64 they agree to 1e-11; in float32 rounding decides between nearly equal values of a max pool.
"""

import functools
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from gpu_scale import Row, Scale
from gpu_training import (
    Data,
    Trained,
    accuracy,
    bare_rate,
    draw,
    params_of,
    seconds_of_maml,
    synchronize,
    train,
    with_lora,
)
from losses import CASES, measure, ours
from torch import Tensor

from kshot.data.batches import resident
from kshot.evaluation.evaluate import embed_once, predict_episodes
from kshot.losses import contrastive_loss, triplet_loss
from kshot.nets.new_embedding import new_embedding
from kshot.params.losses import PAIRS, TRIPLETS
from kshot.params.methods import METHODS

LOSS, POINTS, VALUE, GRADIENT = 0.02, 0.02, 1e-4, 0.01
GOAL = 0.9  # of the bare forward and backward passes
VIT = "vit_tiny_patch16_224"


BatchLoss = Callable[[Tensor, Tensor, torch.Generator], Tensor]
Part = Callable[[torch.device, Scale], Iterator[Row]]


def methods(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Every method trains and evaluates, here and on the CPU."""
    data = draw(scale.classes, scale.images, scale.size)
    episodes = data.episodes(5, min(scale.episodes, 200))
    for name in METHODS:
        changes = {"method": name, "steps": scale.steps, "classes_per_batch": 5, "images_per_class": 4}
        params = params_of(data, **changes, method_arguments=dict(scale.arguments.get(name, {})))
        found = [train(data, params, place) for place in (device, torch.device("cpu"))]
        apart = max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(*(one.losses for one in found), strict=True))
        here, there = (accuracy(one.method, data, episodes) for one in found)
        fits = apart <= LOSS and abs(here - there) <= POINTS
        figure = f"loss {found[0].losses[-1]:.4f}, accuracy {100 * here:.1f} %"
        yield Row(name, figure, f"CPU: {100 * apart:.3f} % off, {100 * there:.1f} %", "ok" if fits else "BEYOND")


def minings(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Value and gradient of the losses with every mining, here and on the CPU."""
    size = scale.losses[0]
    points = torch.nn.functional.normalize(torch.randn(size, 32, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(size) // 4
    cases: dict[str, BatchLoss] = {
        **{name: _without_generator(name) for name in CASES},
        **{f"triplet {one}": functools.partial(_triplet, one) for one in TRIPLETS},
        **{f"contrastive {one}": functools.partial(_contrastive, one) for one in PAIRS},
    }
    for name, loss in cases.items():
        values, gradients = [], []
        for place in (device, torch.device("cpu")):
            given = points.clone().to(place).requires_grad_()
            value = loss(given, labels.to(place), torch.Generator().manual_seed(0))
            value.backward()  # type: ignore[no-untyped-call]
            assert given.grad is not None
            values.append(value.item())
            gradients.append(given.grad.cpu())
        apart = float((gradients[0] - gradients[1]).abs().max() / gradients[1].abs().max().clamp_min(1e-12))
        apart = max(apart, abs(values[0] - values[1]) / max(abs(values[1]), 1e-6))
        yield Row(name, f"{values[0]:.5f}", f"CPU: {apart:.1e} off", "ok" if apart <= VALUE else "BEYOND")


def _without_generator(name: str) -> BatchLoss:
    loss = ours(name)
    return lambda points, labels, generator: loss(points, labels)


def _triplet(mining: str, points: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    return triplet_loss(points, labels, 0.2, mining, "euclidean", generator)


def _contrastive(mining: str, points: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    return contrastive_loss(points, labels, 1.0, mining, generator=generator)


def peers(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Time of a forward and backward pass, beside pytorch-metric-learning."""
    if importlib.util.find_spec("pytorch_metric_learning") is None:
        yield Row("all", "-", "pytorch-metric-learning is not installed", "skipped")
        return
    for name in CASES:
        for size in scale.losses:
            mine, theirs = (measure(who, name, size, device.type)["ms"] for who in ("ours", "peer"))
            yield Row(f"{name}, B={size}", f"{mine:.2f} ms", f"{theirs:.2f} ms, {theirs / mine:.1f} times as long")


def speed(device: torch.device, scale: Scale) -> Iterator[Row]:
    """The whole training step beside the bare forward and backward pass of its network."""
    data = draw(scale.classes, scale.images, scale.size)
    inputs = resident(data.images, device)
    for bf16 in (False, True):
        params = params_of(data, **_batch(scale), precision="bf16" if bf16 else "float32")
        found = train(data, params, device, inputs=inputs)
        yield _beside_bare(
            f"conv4, {params.train.precision}", found, data, scale.batch[0] * scale.batch[1], scale.calls, bf16=bf16
        )
    data = draw(scale.vit_batch[0], scale.vit_batch[1], scale.vit_size, channels=3)
    classes, images = scale.vit_batch
    params = params_of(
        data, steps=max(scale.steps, scale.speed_steps // 4), classes_per_batch=classes, images_per_class=images
    )
    params, embedding = with_lora(params, VIT, scale.vit_size)
    params = replace(params, train=replace(params.train, precision="bf16"))
    found = train(data, params, device, inputs=resident(data.images, device), embedding=embedding)
    yield _beside_bare(f"{VIT} with LoRA, bf16", found, data, classes * images, scale.calls, bf16=True)


def _batch(scale: Scale) -> dict[str, int]:
    return {
        "steps": scale.speed_steps,
        "classes_per_batch": scale.batch[0],
        "images_per_class": scale.batch[1],
    }


def _beside_bare(case: str, found: Trained, data: Data, count: int, calls: int, *, bf16: bool) -> Row:
    rate, method = found.rate, found.method
    pixels = _pixels(data, count, next(method.parameters()).device)
    bare = bare_rate(method.embedding.backbone, pixels, calls, bf16=bf16)
    verdict = "ok" if rate >= GOAL * bare else f"below {GOAL:.0%}"
    return Row(case, f"{rate:,.0f} images/s", f"bare: {bare:,.0f}, {rate / bare:.0%} of it", verdict)


def _pixels(data: Data, count: int, device: torch.device) -> Tensor:
    """A batch of `count` images in [0, 1] of the size of the data's."""
    size, channels = data.images.shape[1], data.images.shape[3]
    pixels = torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return pixels.to(device).to(memory_format=torch.channels_last)


def compiled(device: torch.device, scale: Scale) -> Iterator[Row]:
    """The network of conv4 with torch.compile, beside the same without."""
    data = draw(scale.classes, scale.images, scale.size)
    backend = "inductor" if device.type == "cuda" else "aot_eager"
    network = new_embedding(params_of(data), Path()).backbone.to(device)
    pixels = _pixels(data, scale.batch[0] * scale.batch[1], device)
    plain = bare_rate(network, pixels, scale.calls, bf16=True)
    faster = bare_rate(network, pixels, scale.calls, bf16=True, compiler=backend)
    yield Row(
        f"conv4, bf16, {backend}", f"{faster:,.0f} images/s", f"without: {plain:,.0f}, {faster / plain:.2f} times"
    )


def determinism(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Two trainings from one seed, in deterministic mode, bit for bit."""
    data = draw(scale.classes, scale.images, scale.size)
    for method in ("metric", "maml"):
        changes = {"method": method, "steps": scale.steps, "classes_per_batch": 5, "images_per_class": 4}
        params = params_of(data, **changes, precision="bf16")
        first, second = (train(data, params, device).method.state_dict() for _ in range(2))
        unlike = [key for key, value in first.items() if not torch.equal(value, second[key])]
        figure = f"{len(unlike)} of {len(first)} tensors differ"
        yield Row(f"{method}, {scale.steps} steps, bf16", figure, "the same seed twice", "BEYOND" if unlike else "ok")


def tasks_at_once(device: torch.device, scale: Scale) -> Iterator[Row]:
    """MAML over all tasks of a batch with `vmap`, beside a loop over the tasks."""
    for tasks in scale.tasks:
        data = draw(5 * tasks, 4, scale.size)
        (fast, here), (slow, there) = (
            seconds_of_maml(data, 5, device, scale.calls, batched=batched) for batched in (True, False)
        )
        apart = float((here - there).norm() / there.norm())
        figure, beside = f"{1000 * fast:.1f} ms", f"loop: {1000 * slow:.1f} ms, {slow / fast:.1f} times as long"
        yield Row(f"{tasks} tasks, 5w1s, 5 steps", figure, beside, "ok" if apart <= GRADIENT else "BEYOND")


def pixels_in_memory(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Training with the pixels on the device, beside pixels that are sent with every batch."""
    data = draw(scale.classes, scale.images, scale.size)
    params = params_of(data, **_batch(scale), precision="bf16")
    there = torch.from_numpy(data.images).to(device)
    kept, sent = (train(data, params, device, inputs=one).rate for one in (there, data.images))
    yield Row("conv4, bf16", f"resident: {kept:,.0f} images/s", f"sent: {sent:,.0f}, {kept / sent:.2f} times")


def evaluation(device: torch.device, scale: Scale) -> Iterator[Row]:
    """Episodes a second, embedding their images included."""
    data = draw(scale.classes, scale.images, scale.size)
    network = new_embedding(params_of(data), Path()).to(device)
    episodes = data.episodes(5, scale.episodes)
    for attempt in range(2):  # the first call prepares the device
        synchronize(device)
        began = time.perf_counter()
        predict_episodes(embed_once(network, data.images, episodes.support, episodes.query), episodes)
        if attempt:
            rate = scale.episodes / (time.perf_counter() - began)
            yield Row("5w1s", f"{rate:,.0f} episodes/s", f"{len(data.images):,} images, {scale.episodes:,} episodes")


PARTS: dict[str, Part] = {
    "methods": methods,
    "losses and minings": minings,
    "beside pytorch-metric-learning": peers,
    "training speed": speed,
    "torch.compile": compiled,
    "deterministic": determinism,
    "MAML over tasks": tasks_at_once,
    "pixels": pixels_in_memory,
    "evaluation": evaluation,
}
