"""The embedding: a network from pixels to points of the metric space. kshot trains, registers and serves it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kshot.data.batches import Pixels, gather
from kshot.distances import full_precision
from kshot.errors import CheckpointError
from kshot.nets.backbones.backbone import RANDOM, Input, Start, create_backbone, pixel_statistics
from kshot.nets.embedding_settings import EmbeddingSettings, content_of, settings_of
from kshot.nets.lora import merged
from kshot.nets.shifted_views import views

AT_ONCE = 512  # images that are embedded at once; a convolution may round differently in a batch of another size
PIXELS = AT_ONCE * 84**2  # their pixels: a convolutional network holds some 300 bytes for each, so about 1 GB

WEIGHTS, SETTINGS, ADAPTER = "embedding.safetensors", "embedding.json", "adapter.safetensors"


class Embedding(nn.Module):
    """A backbone with input resizing and, depending on its settings, projection, principal axes and unit length.

    views: how many views of `kshot.nets.shifted_views` a point is the mean of. A backbone that is not trained in full
    stays in evaluation mode, so that its batch norms do not change.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: EmbeddingSettings, start: Start = RANDOM, *, views: int = 1) -> None:
        super().__init__()
        self.settings, self.views = settings, views
        self._in_bf16 = False
        channels = settings.ingest.channels
        self.input = settings.input or Input(settings.ingest.size)
        self.backbone = create_backbone(
            settings.backbone, channels=channels, size=self.input.size, features=settings.features, start=start
        )
        self.width = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.head = projection_head(self.width, settings.head_hidden, settings.head_dim)
        self.dim = settings.head_dim or self.width
        self.axes: nn.Module = nn.Identity()
        if settings.reduced:
            self.reduce(torch.zeros(settings.reduced, self.dim), torch.zeros(settings.reduced))
        mean, std = pixel_statistics(self.backbone, channels)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    @property
    def input_size(self) -> int:
        """Side in pixels of the square that the backbone sees."""
        return self.input.size

    @property
    def in_bf16(self) -> bool:
        """Whether the network runs in bf16, inside `in_precision`; points are float32 in any case."""
        return self._in_bf16

    def describe(self, **changes: Any) -> None:
        """Record more about how it was trained: replace these fields of `settings`."""
        self.settings = replace(self.settings, **changes)

    def forward(self, values: Tensor) -> Tensor:
        """Embed pixels, or the backbone's features of them.

        values (N, C, S, S), pixels, uint8 or floating in [0, 255]; or the output of `features`, (N, width), or of each
        view, (N, V, width). Returns (N, dim) float32, outside autocast; float64 if its weights are.
        """
        seen = views(values, self.views) if values.ndim == 4 else values.unbind(1) if values.ndim == 3 else [values]
        points = (
            torch.stack([self.projected(view) for view in seen]).mean(0) if len(seen) > 1 else self.projected(seen[0])
        )
        points = self._on_axes(points)
        return nn.functional.normalize(points, dim=1) if self.settings.l2_normalize else points

    def _on_axes(self, points: Tensor) -> Tensor:
        if not isinstance(self.axes, nn.Linear):
            return points
        # For points far from the origin, principal axes subtract a large offset: float32 has too few digits for it.
        wide = torch.float32 if points.device.type == "mps" else torch.float64
        turned = nn.functional.linear(points.to(wide), self.axes.weight.to(wide), self.axes.bias.to(wide))
        return turned.to(points.dtype)

    def projected(self, values: Tensor) -> Tensor:
        """As `forward`, before principal axes and unit length."""
        features = self.features(values) if values.ndim == 4 else values
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.in_bf16):
            points: Tensor = self.head(features)
        return full_precision(points.flatten(1))

    def features(self, pixels: Tensor) -> Tensor:
        """The backbone's output for pixels (N, C, S, S), uint8 or floating in [0, 255]: (N, width)."""
        fitted = pixels.to(self.mean.dtype)
        if fitted.shape[-1] != self.input.size:
            size, how = (self.input.size, self.input.size), self.input.interpolation
            fitted = nn.functional.interpolate(fitted, size, mode=how, antialias=True).clamp(0, 255)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.in_bf16):
            found: Tensor = self.backbone((fitted / 255 - self.mean) / self.std)
        return found

    def reduce(self, axes: Tensor, offset: Tensor) -> None:
        """From now on map each point to `axes` (d, dim) @ point + `offset` (d,), its principal components.

        Unit length is applied afterwards.
        """
        layer = nn.Linear(self.dim, len(axes)).to(axes.device).requires_grad_(requires_grad=False)
        layer.weight.copy_(axes)
        layer.bias.copy_(offset)
        self.axes, self.dim = layer, len(axes)
        self.describe(reduced=self.dim)

    def train(self, mode: bool = True) -> "Embedding":
        """As `nn.Module.train`, but a backbone that is not trained in full stays in evaluation mode."""
        super().train(mode)
        if self.settings.adaptation != "full":
            self.backbone.eval()
        return self


def projection_head(width: int, hidden: int | None, dim: int | None) -> nn.Module:
    """The projection layer: identity, a linear map to `dim` numbers, or one with a hidden layer before it."""
    if dim is None:
        return nn.Identity()
    if hidden is None:
        return nn.Linear(width, dim)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, dim))


def save_embedding(embedding: Embedding, folder: Path) -> None:
    """Write weights (safetensors) and settings (JSON) into `folder`.

    Low-rank changes are merged into the weights, so that the file is enough to load them, and also written separately:
    they are what was learned on top of the base that the settings name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = merged(embedding)
    save_file({key: tensor.cpu().contiguous() for key, tensor in found.weights.items()}, folder / WEIGHTS)
    if found.changes:
        save_file({key: tensor.cpu().contiguous() for key, tensor in found.changes.items()}, folder / ADAPTER)
    text = json.dumps(content_of(embedding.settings), indent=2, ensure_ascii=False, sort_keys=True)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


def load_settings(folder: Path) -> EmbeddingSettings:
    """Load the settings of the embedding saved in `folder`. Raises KeyError for a file without them."""
    return settings_of(json.loads((folder / SETTINGS).read_text(encoding="utf-8")))


def load_embedding(folder: Path, device: str | torch.device = "cpu") -> Embedding:
    """Load the embedding saved in `folder`, in evaluation mode.

    Raises CheckpointError if files are missing or do not fit.
    """
    try:
        embedding = Embedding(load_settings(folder))
        embedding.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} holds no embedding that can be loaded: {' '.join(str(error).split())[:300]}; "
            f"needs {WEIGHTS} and {SETTINGS} of one training"
        ) from error
    return embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


class Embeds(Protocol):
    """A module that turns pixels (N, C, S, S) into points (N, dim): an Embedding, or a method with one."""

    training: bool

    @property
    def dim(self) -> int: ...
    @property
    def input_size(self) -> int: ...
    def __call__(self, pixels: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def train(self, mode: bool = True) -> nn.Module: ...


def images_at_once(network: Embeds, images: Pixels) -> int:
    """How many of `images` the network embeds at once: AT_ONCE, and of large images no more than PIXELS together."""
    if len(images.shape) < 4:  # features
        return AT_ONCE
    return max(1, min(AT_ONCE, PIXELS // max(network.input_size, int(images.shape[1])) ** 2))


def embed(network: Embeds, images: Pixels, ids: NDArray[np.integer[Any]]) -> Tensor:
    """Embed the images with the given `ids`, in evaluation mode; restores the mode afterwards.

    images (N, S, S, C) uint8, memory-mapped or in memory, or the features of all ids; ids (M,) include rotations:
    id = quarter turns * N + index. Returns (M, dim) on the CPU, float32 from an Embedding.
    """
    points = _in_parts(network, network, images, ids)
    return torch.cat(points) if points else torch.empty(0, network.dim)


def embed_pixels(network: Embeds, pixels: NDArray[np.uint8]) -> Tensor:
    """As `embed` for all of `pixels` (N, S, S, C) uint8; of few images in less time, because no ids are looked up."""
    if network.training or len(pixels) > images_at_once(network, pixels):
        return embed(network, pixels, np.arange(len(pixels)))
    device = next(network.parameters()).device
    with torch.inference_mode():
        return network(torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)).cpu()


def projected(embedding: Embedding, images: Pixels, ids: NDArray[np.integer[Any]]) -> Tensor:
    """As `embed`, before principal axes and unit length, and in float32 throughout."""
    with in_precision(embedding, bf16=False):
        return torch.cat(_in_parts(embedding, embedding.projected, images, ids))


@contextmanager
def in_precision(embedding: Embedding, *, bf16: bool) -> Iterator[None]:
    """Run the network in bf16, or in float32 throughout, inside the block."""
    before, embedding._in_bf16 = embedding._in_bf16, bf16
    try:
        yield
    finally:
        embedding._in_bf16 = before


def _in_parts(
    network: Embeds,
    function: Callable[[Tensor], Tensor],
    images: Pixels,
    ids: NDArray[np.integer[Any]],
) -> list[Tensor]:
    training, device = network.training, next(network.parameters()).device
    if training:  # setting the mode visits every layer: as long as a small network takes for one image
        network.train(mode=False)
    try:
        with torch.inference_mode():
            at_once = images_at_once(network, images)
            parts = torch.from_numpy(np.asarray(ids, dtype=np.int64)).split(at_once)  # type: ignore[no-untyped-call]
            return [function(gather(images, part).to(device)).cpu() for part in parts if len(part)]
    finally:
        if training:
            network.train()
