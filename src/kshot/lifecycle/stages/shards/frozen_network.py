"""Opens the frozen backbone of a project, with its packed images, on a device of this machine."""

from pathlib import Path

import torch

from kshot.data.batches import resident
from kshot.lifecycle.data.packed import read_images
from kshot.nets.devices import choose_device
from kshot.nets.frozen_features import FrozenFeatures
from kshot.nets.new_embedding import new_embedding
from kshot.params.schema import AUTO, Params


def opened(root: Path, params: Params) -> FrozenFeatures:
    """The frozen network on its device, which computes the features of the packed images."""
    embedding, device = new_embedding(params, root), choose_device(params.train.device)
    embedding = embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    pixels, bf16 = resident(read_images(root), device), params.embed.precision == "bf16"
    return FrozenFeatures(embedding, pixels, seen=views_of(params), batch_size=params.embed.batch_size, bf16=bf16)


def views_of(params: Params) -> int:
    """How many views of each image evaluation may need: `auto` measures one and two."""
    return 2 if params.evaluate.views == AUTO else params.evaluate.views
