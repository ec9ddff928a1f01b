"""Writes the training log and its curves while a training runs, and describes the training for people."""

import csv
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kshot.lifecycle.project.tables import counted
from kshot.params.sections.train import Train

TIMED_S = 2.0  # of training, before its end is predicted
BAR = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"  # short: the row has 80 columns
WORTH_A_LINE_S = 10.0  # a shorter training ends before anybody asks how long it takes


def finished(last: Mapping[str, Any]) -> str:
    """Text on a training that ended with this record of the training log."""
    gigabytes = last["peak_memory_mb"] / 1000
    return f"{counted(last['step'], 'step')} in {last['seconds']:.0f} s, {gigabytes:.1f} GB; {last['reason']}"


def outlook(first: tuple[int, float], second: tuple[int, float], steps: int) -> str:
    """Text on how long the rest of `steps` takes, from two steps and their times in seconds; '' for a short rest."""
    (step, began), (later, ended) = first, second
    seconds = (steps - later) * (ended - began) / (later - step)
    if seconds < WORTH_A_LINE_S:
        return ""
    about = f"{10 * round(seconds / 10)} s" if seconds < 90 else f"{round(seconds / 60):,} min"
    return f"about {about} of training left, less if validation ends it early"


def announced(train: Train, learning: str, learned: int, total: int) -> str:
    """The line on trained parameters, initial weights and method; `learning` is from `kshot.nets.adaptation.adapt`."""
    method = f"by {train.loss.name} loss" if train.method.name == "metric" else f"by {train.method.name}"
    if not learned:
        return f"nothing to train: {train.network.backbone} is frozen and is measured as it is"
    if train.network.is_frozen:
        return f"training {learned:,} parameters after the frozen {train.network.backbone} {method}"
    start = "from published weights" if train.network.pretrained else f"from {train.network.checkpoint or 'scratch'}"
    parameters = f"{total:,}" if learned == total else f"{learned:,} of {total:,}"
    part = f", {learning}" if train.network.adaptation == "lora" else ""
    return f"training {train.network.backbone} ({parameters} parameters{part}) {start} {method}"


def write_log(path: Path, records: Any, steps: int, unit: str) -> list[dict[str, Any]]:
    """Write one JSON line per record immediately, so that readers of the file can follow the training.

    `unit` is what the throughput counts, images or features: a frozen backbone processes no image during training.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    log: list[dict[str, Any]] = []
    first: tuple[int, float] | None = None  # step and time of this process's first record
    is_predicted = False
    with (
        path.open("w", encoding="utf-8") as file,
        tqdm(total=steps, desc="train", bar_format=BAR, disable=not steps) as bar,
    ):
        for record in records:
            line = asdict(record) if is_dataclass(record) and not isinstance(record, type) else dict(record)
            if "images_per_s" in line:
                line = {f"{unit}_per_s" if name == "images_per_s" else name: value for name, value in line.items()}
            log.append(line)
            file.write(json.dumps(line) + "\n")
            file.flush()
            bar.update(line["step"] - bar.n)
            if "loss" in line:
                if not is_predicted and not isinstance(record, Mapping):  # a mapping is from before a resumption
                    now = (line["step"], time.monotonic())
                    first = first or now
                    is_predicted = now[1] - first[1] >= TIMED_S
                    if is_predicted and (text := outlook(first, now, steps)):
                        bar.write(text)
                shown = f"loss {line['loss']:.3f}, {line[f'{unit}_per_s']:,.0f} {unit}/s"
                if line["active"] is not None:
                    shown += f", {line['active']:.0%} active"
                bar.set_postfix_str(shown, refresh=False)
    return log


def write_curves(path: Path, log: list[dict[str, Any]]) -> None:
    """Write the log as a table for `dvc plots`: step, loss and, where measured, validation accuracy."""
    validated = {line["step"]: line["val_accuracy"] for line in log if "val_accuracy" in line}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "val_accuracy"])
        writer.writerows([s["step"], s["loss"], validated.get(s["step"], "")] for s in log if "loss" in s)
