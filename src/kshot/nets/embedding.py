"""The embedding: pixels in, points of the metric space out; what kshot trains, registers and serves."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kshot.data.batches import Pixels, gather
from kshot.errors import CheckpointError
from kshot.nets.backbones import RANDOM, Input, Start, create_backbone, pixel_statistics
from kshot.nets.lora import merged
from kshot.nets.shifted_views import views

WEIGHTS, SETTINGS, ADAPTER = "embedding.safetensors", "embedding.json", "adapter.safetensors"


class Embedding(nn.Module):
    """A backbone between what fits pixels to it and, as settings ask, a head, principal axes and unit length.

    `settings` says how to build it again: {"backbone", "head_dim", "l2_normalize", "batch_norm",
    "ingest": {"size", "channels", "invert", "crop"}}, and where they differ from none "features", "head_hidden",
    "input", {"size", "interpolation"}, and "reduced", a width; whoever trains it adds what it was trained on.
    """

    mean: Tensor
    std: Tensor
    autocast = False  # whether the network runs in bf16, as `train.precision` says; what comes out is float32
    views = 1  # of `kshot.nets.shifted_views`, over which a point is the mean, as the answering says
    holds_backbone = False  # whether the backbone stays in evaluation mode, its batch norms as they were

    def __init__(self, settings: dict[str, Any], start: Start = RANDOM) -> None:
        super().__init__()
        self.settings = settings
        channels, packed = settings["ingest"]["channels"], settings["ingest"]["size"]
        self.input = Input(**settings.get("input", {"size": packed}))
        self.backbone = create_backbone(
            settings["backbone"],
            channels=channels,
            size=self.input.size,
            features=settings.get("features", ()),
            start=start,
        )
        self.width = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.head = projection_head(self.width, settings.get("head_hidden"), settings["head_dim"])
        self.dim = settings["head_dim"] or self.width
        self.axes: nn.Module = nn.Identity()
        if settings.get("reduced"):
            self.reduce(torch.zeros(settings["reduced"], self.dim), torch.zeros(settings["reduced"]))
        mean, std = pixel_statistics(self.backbone, channels)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        """values (N, C, S, S), pixels, uint8 or floating in [0, 255]; or (N, width), `features` of them.

        Returns (N, dim) float32, outside autocast.
        """
        if values.ndim == 4 and self.views > 1:
            points = torch.stack([self.projected(view) for view in views(values, self.views)]).mean(0)
        else:
            points = self.projected(values)
        points = self._on_axes(points)
        return nn.functional.normalize(points, dim=1) if self.settings["l2_normalize"] else points

    def _on_axes(self, points: Tensor) -> Tensor:
        if not isinstance(self.axes, nn.Linear):
            return points
        # Principal axes of points far from the origin take a large offset away: float32 keeps too few digits of both.
        wide = torch.float32 if points.device.type == "mps" else torch.float64
        turned = nn.functional.linear(points.to(wide), self.axes.weight.to(wide), self.axes.bias.to(wide))
        return turned.to(points.dtype)

    def projected(self, values: Tensor) -> Tensor:
        """As `forward`, before principal axes and unit length."""
        features = self.features(values) if values.ndim == 4 else values
        with torch.autocast(values.device.type, torch.bfloat16, enabled=self.autocast):
            points: Tensor = self.head(features)
        return points.flatten(1).float()

    def features(self, pixels: Tensor) -> Tensor:
        """What the backbone makes of pixels (N, C, S, S), uint8 or floating in [0, 255]: (N, width)."""
        fitted = pixels.to(self.mean.dtype)
        if fitted.shape[-1] != self.input.size:
            size, how = (self.input.size, self.input.size), self.input.interpolation
            fitted = nn.functional.interpolate(fitted, size, mode=how, antialias=True).clamp(0, 255)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.autocast):
            found: Tensor = self.backbone((fitted / 255 - self.mean) / self.std)
        return found

    def reduce(self, axes: Tensor, offset: Tensor) -> None:
        """From now on go on to `axes` (d, dim) @ point + `offset` (d,), before unit length: principal components."""
        layer = nn.Linear(self.dim, len(axes)).to(axes.device).requires_grad_(requires_grad=False)
        layer.weight.copy_(axes)
        layer.bias.copy_(offset)
        self.axes, self.dim = layer, len(axes)
        self.settings["reduced"] = self.dim

    def train(self, mode: bool = True) -> "Embedding":
        """As every module's; a backbone that is held stays in evaluation mode."""
        super().train(mode)
        if self.holds_backbone:
            self.backbone.eval()
        return self


def projection_head(width: int, hidden: int | None, dim: int | None) -> nn.Module:
    """Nothing, a linear map to `dim` numbers, or one with a hidden layer before it."""
    if dim is None:
        return nn.Identity()
    if hidden is None:
        return nn.Linear(width, dim)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, dim))


def save_embedding(embedding: Embedding, folder: Path) -> None:
    """Write weights (safetensors) and settings (JSON) into `folder`.

    Low-rank changes are added to the weights, so that nothing but the file is needed to load them, and written by
    themselves besides: they are what was learned on the base that the settings name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = merged(embedding)
    save_file({key: tensor.cpu().contiguous() for key, tensor in found.weights.items()}, folder / WEIGHTS)
    if found.changes:
        save_file({key: tensor.cpu().contiguous() for key, tensor in found.changes.items()}, folder / ADAPTER)
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

    images (N, S, S, C) uint8, mapped or in memory, ids (M,) of the expanded space, id = quarter turns * N + index; or
    the features of all ids. Returns (M, dim) on the CPU, float32 from an Embedding.
    """
    points = _in_parts(network, network, images, ids, batch_size)
    return torch.cat(points) if points else torch.empty(0, network.dim)


def projected(embedding: Embedding, images: Pixels, ids: NDArray[np.integer[Any]], *, batch_size: int = 512) -> Tensor:
    """As `embed`, before principal axes and unit length, and in float32 throughout."""
    with in_float32(embedding):
        return torch.cat(_in_parts(embedding, embedding.projected, images, ids, batch_size))


@contextmanager
def in_float32(embedding: Embedding) -> Iterator[None]:
    """The network runs in float32 throughout while the block does, whatever `train.precision` says."""
    in_bf16, embedding.autocast = embedding.autocast, False
    try:
        yield
    finally:
        embedding.autocast = in_bf16


def _in_parts(
    network: Embeds,
    answer: Callable[[Tensor], Tensor],
    images: Pixels,
    ids: NDArray[np.integer[Any]],
    batch_size: int,
) -> list[Tensor]:
    training, device = network.training, next(network.parameters()).device
    network.train(mode=False)
    try:
        with torch.inference_mode():
            parts = torch.from_numpy(np.asarray(ids, dtype=np.int64)).split(batch_size)  # type: ignore[no-untyped-call]
            return [answer(gather(images, part).to(device)).cpu() for part in parts if len(part)]
    finally:
        network.train(training)
