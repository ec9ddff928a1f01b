"""Loads a local weights file into a backbone; adapts other numbers of colours, and refuses weights that do not fit."""

import pickle as pickles
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kshot.errors import CheckpointError
from kshot.first_few import first_few

INSIDE = ("backbone.", "network.")  # prefixes of the backbone in a kshot embedding, and of the model in its stages


def load_weights(network: nn.Module, path: Path, *, pickle: bool = False) -> list[str]:
    """Load the file `path` into `network`, ignoring a classifier that only the file has.

    The file is .safetensors with the network's names or those of an embedding that kshot trained; with `pickle`, any
    file that torch.load reads without running code. Returns descriptions of what was adapted. Raises CheckpointError
    that names the tensors that are missing or have another shape; the network is then unchanged.
    """
    found = {_bare(key): tensor for key, tensor in _read(path, pickle).items() if not _beside(key)}
    wanted = network.state_dict()
    notes = []
    for key, tensor in found.items():
        target = wanted.get(key)
        if target is not None and tensor.ndim == 4 and {tensor.shape[1], target.shape[1]} == {1, 3}:
            # Summing over the colours gives a grey image the same output as three equal colours had (as timm does).
            grey = target.shape[1] == 1
            found[key] = tensor.sum(1, keepdim=True) if grey else tensor.expand(-1, 3, -1, -1) / 3
            change = "of colour, was summed for grey" if grey else "of grey, was spread over colour"
            notes.append(f"{path.name}: {key}, {change} images")
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    misfits = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in found and found[key].shape != tensor.shape
    ]
    if missing or misfits:
        problems = [*(f"{key} missing" for key in missing), *misfits]
        raise CheckpointError(
            f"{path} does not fit the backbone: {first_few(problems, 3, '; ')}; "
            "name the backbone that the file was made for"
        )
    network.load_state_dict({key: found.get(key, tensor) for key, tensor in wanted.items()})
    return notes


def _read(path: Path, pickle: bool) -> dict[str, Tensor]:
    if path.suffix != ".safetensors" and not pickle:
        raise CheckpointError(
            f"{path} is no .safetensors file and may hold code; if you trust its maker, name it in "
            "train.network.pickle too"
        )
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (OSError, SafetensorError, pickles.UnpicklingError, RuntimeError, EOFError) as error:
        what = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} cannot be read as weights: {what}; give a local .safetensors file") from error
    for nested in ("state_dict", "model"):
        if isinstance(found.get(nested), dict):
            found = found[nested]
    return {key: tensor for key, tensor in found.items() if isinstance(tensor, Tensor)}


def _bare(key: str) -> str:
    for prefix in INSIDE:
        key = key.removeprefix(prefix)
    return key


def _beside(key: str) -> bool:
    """Whether `key` belongs to a part of a kshot embedding other than its backbone."""
    return key in ("mean", "std")
