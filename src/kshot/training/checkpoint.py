"""Training checkpoints: one safetensors file, replaced atomically, never a pickle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kshot.errors import CheckpointError

PARTS = ("weights", "best", "optimizer", "mined", "generators")


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to resume as if it had never stopped.

    weights     of the method, including parameters and memory of its loss
    best        the same at the best validation so far
    optimizer   its moments
    mined       the nearest classes from the last mining
    generators  the state of each torch generator: that of the batches, and those of `kshot.training.random_state`
    notes       counters, records and the states of the other generators, as plain JSON
    """

    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    mined: dict[str, Tensor]
    generators: dict[str, Tensor]
    notes: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` atomically: a reader finds the old file or the new one, never a part."""
    tensors = {}
    for part in PARTS:
        for key, tensor in getattr(checkpoint, part).items():
            tensors[f"{part}/{key}"] = tensor.detach().cpu().contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    save_file(tensors, unfinished, metadata={"notes": json.dumps(checkpoint.notes)})
    unfinished.replace(path)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Load the checkpoint at `path`; None if there is none. Raises CheckpointError for any other file."""
    if not path.exists():
        return None
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads(file.metadata()["notes"])
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                part, _, name = key.partition("/")
                if part in parts:
                    parts[part][name] = file.get_tensor(key)
        if not parts["generators"]:
            raise ValueError("it holds no states of random generators, as those of older versions")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of kshot: {error}; delete it to train from the start"
        ) from error
    return Checkpoint(**parts, notes=notes)


def copy_weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of the state of `module`, independent of later steps."""
    return {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}
