"""The embedding: pixels in, points of the metric space out; what kshot trains, registers and serves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kshot.backbones import create_backbone, pixel_statistics
from kshot.batches import Pixels, gather
from kshot.errors import CheckpointError

WEIGHTS, SETTINGS = "embedding.safetensors", "embedding.json"


class Embedding(nn.Module):
    """A backbone between the pixels' normalisation and, as settings ask, a linear head and unit length.

    `settings` says how to build it again: {"backbone", "head_dim", "l2_normalize", "batch_norm",
    "ingest": {"size", "channels", "invert"}}; whoever trains it adds what it was trained on.
    """

    mean: Tensor
    std: Tensor
    autocast = False  # whether the network runs in bf16, as `train.precision` says; what comes out is float32

    def __init__(self, settings: dict[str, Any], *, pretrained: bool = False, checkpoint: Path | None = None) -> None:
        super().__init__()
        self.settings = settings
        channels, size = settings["ingest"]["channels"], settings["ingest"]["size"]
        self.backbone = create_backbone(
            settings["backbone"], channels=channels, size=size, pretrained=pretrained, checkpoint=checkpoint
        )
        width = int(self.backbone.num_features)  # type: ignore[arg-type]
        head_dim = settings["head_dim"]
        self.head: nn.Module = nn.Linear(width, head_dim) if head_dim else nn.Identity()
        self.dim = head_dim or width
        mean, std = pixel_statistics(self.backbone, channels)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (N, C, S, S), uint8, or floating in [0, 255]. Returns (N, dim) float32, outside autocast."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.autocast):
            features = self.head(self.backbone((pixels.to(self.mean.dtype) / 255 - self.mean) / self.std))
        features = features.flatten(1).float()
        return nn.functional.normalize(features, dim=1) if self.settings["l2_normalize"] else features


def save_embedding(embedding: Embedding, folder: Path) -> None:
    """Write weights (safetensors) and settings (JSON) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: tensor.cpu().contiguous() for key, tensor in embedding.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    text = json.dumps(embedding.settings, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


def load_settings(folder: Path) -> dict[str, Any]:
    """The settings of the embedding saved in `folder`."""
    found: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    return found


def load_embedding(folder: Path, device: str | torch.device = "cpu") -> Embedding:
    """The embedding saved in `folder`, in evaluation mode. Raises CheckpointError where files miss or do not fit."""
    try:
        settings = load_settings(folder)
        embedding = Embedding(settings)
        embedding.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} holds no embedding that can be loaded: {' '.join(str(error).split())[:300]}; "
            f"needs {WEIGHTS} and {SETTINGS} of one training"
        ) from error
    return embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


class Embeds(Protocol):
    """What turns pixels (N, C, S, S) into points (N, dim): an Embedding, or a method with one."""

    training: bool

    @property
    def dim(self) -> int: ...
    def __call__(self, pixels: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def train(self, mode: bool = True) -> nn.Module: ...


def embed(network: Embeds, images: Pixels, ids: NDArray[np.integer[Any]], *, batch_size: int = 512) -> Tensor:
    """Embed the images that `ids` names, in evaluation mode; the mode is put back afterwards.

    images (N, S, S, C) uint8, mapped or in memory; ids (M,) of the expanded space, id = quarter turns * N + index.
    Returns (M, dim) on the CPU, float32 from an Embedding.
    """
    training, device = network.training, next(network.parameters()).device
    network.train(mode=False)
    try:
        with torch.inference_mode():
            parts = torch.from_numpy(np.asarray(ids, dtype=np.int64)).split(batch_size)  # type: ignore[no-untyped-call]
            points = [network(gather(images, part).to(device)).cpu() for part in parts if len(part)]
    finally:
        network.train(training)
    return torch.cat(points) if points else torch.empty(0, network.dim)
