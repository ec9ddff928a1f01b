"""Stage train: meta-trains the embedding on the packed pixels, and resumes a training that was killed."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import kshot
from kshot.data.batches import Pixels, resident
from kshot.evaluation.space import geometry, labels_of, random_classes, rounded
from kshot.lifecycle.data.packed import (
    group_names,
    image_ids,
    label_names,
    of_splits,
    read_classes,
    read_episodes,
    read_manifest,
)
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.no_telemetry import silence_telemetry
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.settings_fit.resolved import resolved_here
from kshot.lifecycle.stages.entry import stage_main
from kshot.lifecycle.stages.features import inputs_of
from kshot.lifecycle.tracking import plugin_code
from kshot.lifecycle.tracking.training_log import announced, finished, write_curves, write_log
from kshot.methods.method import Method
from kshot.methods.saving import save_method
from kshot.nets.backbones.backbone import parameter_count
from kshot.nets.devices import choose_device
from kshot.nets.embedding import embed
from kshot.nets.memory import keep_freed_memory
from kshot.nets.new_embedding import new_embedding
from kshot.parallel.share import ALONE, World
from kshot.params.engine import engine_here
from kshot.params.schema import AUTO, Params, load_params
from kshot.params.sections.train import FEWEST_IMAGES, Train
from kshot.redaction import guard
from kshot.training.loop import meta_train
from kshot.training.new_method import new_method
from kshot.training.processes import most_processes, process_count
from kshot.training.random_state import make_deterministic
from kshot.training.reduction import fit_reduction

SHOWN_IMAGES = 2000  # images whose space is measured before and after training


def run(root: Path, params: Params) -> None:
    """Write the model, its training log and curves, in as many processes as `train.processes` says, here or on Ray."""
    train = resolved_here(root, params).train
    if engine_here(params.engine) == "ray":
        _run_on_ray(root, train)
        return
    device = choose_device(train.device)
    size = process_count(train, device)
    if size == 1:
        train_model(ALONE, root, params)
        return
    from kshot.parallel.launch import run_in_processes

    run_in_processes(one_of_several, (root,), size, "nccl" if device.type == "cuda" else "gloo")


def _run_on_ray(root: Path, train: Train) -> None:
    # By the module's own name: Ray would copy a function of __main__ with all that its code seems to name.
    from kshot.lifecycle.stages.train import one_of_several
    from kshot.parallel.ray_cluster import connected
    from kshot.parallel.ray_launch import Wanted, run_on_ray, threads_here
    from kshot.parallel.ray_nodes import require_alike

    state = private_state(root)
    with connected() as ray:
        require_alike(ray, state)
        gpus = int(ray.cluster_resources().get("GPU", 0)) if train.device in ("auto", "cuda") else 0
        size = most_processes(train, gpus) if train.processes == AUTO else train.processes
        on_gpus = gpus > 0 or train.device == "cuda"
        run_on_ray(ray, one_of_several, (root.resolve(),), Wanted(size, on_gpus, threads_here()), state)


def one_of_several(world: World, root: Path) -> None:
    """Run one of the processes that train one model, with the settings and plug-ins of the stage."""
    guard()
    silence_telemetry()
    train_model(world, root, load_params(root / "params.yaml"))


def train_model(world: World, root: Path, params: Params) -> None:
    """Train, and write everything if this is the first process of `world`."""
    keep_freed_memory()
    train = resolved_here(root, params).train
    device = choose_device(train.device)
    make_deterministic(train.seed)
    manifest = read_manifest(root)
    classes = trainable(manifest, of_splits(read_classes(root), train.splits))
    embedding = new_embedding(params, root)
    method, learning = new_method(embedding, train, classes["class"])
    method = method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Classes used for training cannot be used for validation: their curve would be too optimistic.
    validation = None if "val" in train.splits else read_episodes(root, "val", train.validation.protocol)
    checkpoint = root / layout.STATE / "checkpoints" / inputs_key(root, params) / "checkpoint.safetensors"
    inputs = resident(inputs_of(root, embedding), device)
    members = image_ids(manifest, classes)
    records = meta_train(
        method,
        inputs,
        members,
        label_names(classes),
        train,
        groups=group_names(classes),
        validation=validation,
        checkpoint=checkpoint,
        world=world,
    )
    if not world.is_first:
        for _ in records:
            pass
        return
    learned, total = parameter_count(method), sum(value.numel() for value in method.parameters())
    where = f"{device.type}, {world.size} processes" if world.size > 1 else device.type
    on = f" on {len(classes):,} classes, on {where}" if learned else ""
    for note in embedding.backbone.notes:  # type: ignore[union-attr]
        print(note, flush=True)
    for line in (f"{announced(train, learning, learned, total)}{on}", *_settings_lines(params, train, learned)):
        print(line, flush=True)
    shown = held_out(root, train.splits)
    before = space(method, inputs, shown)
    steps, unit = train.steps if learned else 0, "features" if train.network.is_frozen else "images"
    log = write_log(root / layout.TRAIN_LOG, records, steps, unit)
    write_curves(root / layout.CURVES, log)
    if train.projection.reduce.wanted:
        kept = fit_reduction(method, inputs, np.concatenate(members), train.projection.reduce)
        print(f"{embedding.dim} principal components hold {kept:.1%} of the training classes' spread", flush=True)
    embedding.describe(device=device.type, processes=world.size if world.size > 1 else None)
    figures = {
        "parameters": {"learned": learned, "total": total},
        "adaptation": learning,
        "batch": {"classes": train.batch.class_count, "images": train.batch.images},
        "measured_on": "training classes" if "val" in train.splits else "validation classes",
        "before": before,
        "after": space(method, inputs, shown),
    }
    (root / layout.SPACE).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    save_method(method, root / layout.MODEL)
    shutil.rmtree(checkpoint.parent, ignore_errors=True)
    if learned:
        print(finished(log[-1]), flush=True)


def _settings_lines(params: Params, train: Train, learned: int) -> list[str]:
    """Lines on the values of `auto`, and on settings that have no effect."""
    lines = []
    if learned and params.train.batch.classes == AUTO:
        lines.append(f"batches of {train.batch.class_count} classes x {train.batch.images} images")
    for name, changes in (("augment", train.augment), ("task_augment", train.task_augment)):
        if train.network.is_frozen and changes.is_on:
            lines.append(f"train.{name} is ignored: the backbone is frozen, so its features are computed once")
    return lines


def trainable(manifest: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """The classes with at least two different images (one alone has no pair); stage validate lists those left out."""
    images = manifest.groupby("class")["content"].nunique()
    return classes[classes["class"].map(images) >= FEWEST_IMAGES]


def held_out(root: Path, splits: Sequence[str]) -> list[NDArray[np.int64]]:
    """By class, the ids of upright images of the validation classes, or of training classes if validation classes are
    trained on, too; at most SHOWN_IMAGES in all."""
    classes = read_classes(root)
    upright = classes[(classes["rotation"] == 0) & (classes["split"] == ("train" if "val" in splits else "val"))]
    return random_classes(image_ids(read_manifest(root), upright), SHOWN_IMAGES)


def space(method: Method, inputs: Pixels, members: Sequence[NDArray[np.int64]]) -> dict[str, float | None]:
    """Figures of the method's embedding space on these images; empty without a fixed embedding or without images."""
    if not method.has_fixed_embedding or not members:
        return {}
    points = embed(method, inputs, np.concatenate(members))
    return rounded(geometry(points, labels_of(members)))


SERVICES = ("lifecycle", "cli", "flows", "serve")  # code that does not affect the weights


def inputs_key(root: Path, params: Params) -> str:
    """A hash of everything that determines the trained weights: a checkpoint of other inputs is never resumed.

    Any number of processes may resume what another number began.
    """
    train = dataclasses.replace(params.train, processes=AUTO)
    digest = hashlib.sha256(repr((train, params.ingest, torch.__version__)).encode())
    science = Path(kshot.__file__).parent
    files = [root / layout.PACKED / "manifest.parquet", root / layout.SPLIT / "classes.parquet"]
    files += sorted((root / layout.EPISODES).glob("val-*.npz"))
    files += sorted(path for path in science.rglob("*.py") if path.relative_to(science).parts[0] not in SERVICES)
    if params.train.network.checkpoint:
        files.append(root / params.train.network.checkpoint)
    if params.train.network.is_frozen:
        files.append(root / layout.EMBEDDED / "embedded.json")
    digest.update(json.dumps(plugin_code.fingerprints(root, "train"), sort_keys=True).encode())
    for path in files:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    stage_main(run)
