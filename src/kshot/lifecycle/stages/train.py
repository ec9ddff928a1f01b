"""Stage train: meta-train the embedding on the packed pixels, resuming where a killed training stopped."""

import csv
import hashlib
import json
import shutil
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import kshot
from kshot.backbones import parameter_count
from kshot.batches import resident
from kshot.devices import choose_device
from kshot.embedding import Embedding
from kshot.lifecycle import layout
from kshot.lifecycle.packed import (
    image_ids,
    label_names,
    of_splits,
    read_classes,
    read_episodes,
    read_images,
    read_manifest,
)
from kshot.lifecycle.stages.entry import stage_main
from kshot.memory import keep_freed_memory
from kshot.methods.saving import save_method
from kshot.methods.table import build_method, describe
from kshot.params import Params
from kshot.training import meta_train


def run(root: Path, params: Params) -> None:
    """Write the model, its training log and its curves."""
    keep_freed_memory()
    train = params.train
    device = choose_device(train.device)
    make_deterministic(train.seed)
    classes = of_splits(read_classes(root), train.splits)
    embedding = Embedding(
        settings(params, sorted(set(classes["class"]))),
        pretrained=train.pretrained,
        checkpoint=root / train.checkpoint if train.checkpoint else None,
    )
    method = build_method(embedding.settings["method"], embedding)
    embedding.settings["batch_norm"] = method.batch_norm
    method = method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Classes that are trained on cannot be validated on; their curve would only flatter.
    validation = None if "val" in train.splits else read_episodes(root, "val", train.validation_protocol)
    checkpoint = root / layout.STATE / "checkpoints" / inputs_key(root, params) / "checkpoint.safetensors"
    loss = f"{train.loss} loss, " if train.method == "metric" else ""
    print(
        f"{train.backbone} by {train.method}, {parameter_count(method):,} parameters, {loss}"
        f"{len(classes)} classes, on {device.type}",
        flush=True,
    )
    records = meta_train(
        method,
        resident(read_images(root), device),
        image_ids(read_manifest(root), classes),
        label_names(classes),
        train,
        validation=validation,
        checkpoint=checkpoint,
    )
    log = write_log(root / layout.TRAIN_LOG, records, train.steps)
    write_curves(root / layout.CURVES, log)
    embedding.settings["device"] = device.type
    save_method(method, root / layout.MODEL)
    shutil.rmtree(checkpoint.parent, ignore_errors=True)
    print(f"trained {log[-1]['step']} steps in {log[-1]['seconds']:.0f} s: {log[-1]['reason']}", flush=True)


def settings(params: Params, trained_on: list[str]) -> dict[str, Any]:
    """What a saved embedding says of itself."""
    train = params.train
    return {
        "backbone": train.backbone,
        "head_dim": train.head_dim,
        "l2_normalize": train.l2_normalize,
        "method": describe(train),
        "loss": train.loss if train.method == "metric" else None,
        "ingest": asdict(params.ingest),
        "trained_on": trained_on,
    }


def make_deterministic(seed: int) -> None:
    """The same seed gives the same weights, bit for bit, on one machine with one number of threads."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory, which deterministic mode adds, costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def write_log(path: Path, records: Any, steps: int) -> list[dict[str, Any]]:
    """One JSON line a record, at once, so that whoever follows the file sees the training live."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log: list[dict[str, Any]] = []
    with path.open("w", encoding="utf-8") as file, tqdm(total=steps, desc="train", unit="step") as bar:
        for record in records:
            line = asdict(record) if is_dataclass(record) and not isinstance(record, type) else dict(record)
            log.append(line)
            file.write(json.dumps(line) + "\n")
            file.flush()
            bar.update(line["step"] - bar.n)
            if "loss" in line:
                shown = {"loss": f"{line['loss']:.4f}", "images_per_s": f"{line['images_per_s']:.0f}"}
                if line["active"] is not None:
                    shown["active"] = f"{line['active']:.1%}"
                bar.set_postfix(shown, refresh=False)
    return log


def write_curves(path: Path, log: list[dict[str, Any]]) -> None:
    """The log as the table that `dvc plots` draws: step, loss and, where it was measured, validation accuracy."""
    validated = {line["step"]: line["val_accuracy"] for line in log if "val_accuracy" in line}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "val_accuracy"])
        writer.writerows([s["step"], s["loss"], validated.get(s["step"], "")] for s in log if "loss" in s)


def inputs_key(root: Path, params: Params) -> str:
    """A hash of everything that the trained weights follow from: a checkpoint of other inputs is never resumed."""
    digest = hashlib.sha256(repr((params.train, params.ingest, torch.__version__)).encode())
    science = Path(kshot.__file__).parent
    files = [root / layout.PACKED / "manifest.parquet", root / layout.SPLIT / "classes.parquet"]
    files += sorted((root / layout.EPISODES).glob("val-*.npz"))
    files += [
        path for part in ("", "heads", "losses", "methods", "mining") for path in sorted((science / part).glob("*.py"))
    ]
    if params.train.checkpoint:
        files.append(root / params.train.checkpoint)
    for path in files:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    stage_main(run)
