"""Random changes of training photographs: crops, mirror images, colours and erased rectangles, by torchvision."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kshot.params.sections.augment import Augment

if TYPE_CHECKING:
    from torchvision.transforms import v2


def random_photographs(pixels: Tensor, settings: Augment, generator: torch.Generator, side: int) -> Tensor:
    """Change each image of a batch at random as `settings.of_photographs` says.

    pixels (N, C, S, S) uint8 on any device; the generator draws on the CPU. A random crop becomes (side, side), the
    network's input; without crops the size stays. Returns `pixels` itself if every change is off.
    """
    changes = settings.of_photographs
    if not changes:
        return pixels
    change = _transform(changes, side)
    # torchvision draws from torch's own generator of the CPU, whatever the device of the pixels.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        # Image by image: torchvision changes all images of one tensor alike.
        return torch.stack([change(image) for image in pixels]).contiguous(memory_format=torch.channels_last)


def _transform(changes: dict[str, float], side: int) -> "v2.Transform":
    # Here, because it imports torch's compiler: 5 s of a processor, and most trainings change no photographs.
    from torchvision.transforms import v2

    parts: list[v2.Transform] = []
    if share := changes.get("resized_crop"):
        parts.append(v2.RandomResizedCrop(side, scale=(share, 1.0), antialias=True))
    if chance := changes.get("mirror"):
        parts.append(v2.RandomHorizontalFlip(chance))
    if most := changes.get("colour_jitter"):
        parts.append(v2.ColorJitter(brightness=most, contrast=most, saturation=most))
    if chance := changes.get("erase"):
        parts.append(v2.RandomErasing(chance, scale=(0.02, 0.2)))
    return v2.Compose(parts)
