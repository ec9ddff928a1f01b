"""An embedding small enough for oracles, and a problem that every method learns."""

import torch
from torch import nn

from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.params.sections.ingest import Ingest

CLASSES, SIZE = 20, 8


class Tiny(nn.Module):
    """One convolution with batch norm; `dim`, `settings` and `in_bf16` as an Embedding has them."""

    in_bf16 = False

    def __init__(self, seed=0, width=3, dtype=torch.float32, flat=False):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(2))
        self.dim = width * 16
        self.settings = EmbeddingSettings("none", Ingest(size=SIZE, channels=1, invert=False, crop="none"))
        self.to(dtype)

    def forward(self, pixels):
        return self.body(pixels.to(self.body[0].weight.dtype) / 255).flatten(1)


def images(classes, images, seed=0, dtype=torch.float32):
    """Classes are patterns under noise: pixels (classes * images, 1, SIZE, SIZE) and labels, a class together."""
    generator = torch.Generator().manual_seed(1234)
    patterns = 70 * torch.randint(0, 2, (CLASSES, 1, 1, 4, 4), generator=generator).repeat_interleave(2, 3)
    patterns = patterns.repeat_interleave(2, 4)
    noise = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(CLASSES, generator=noise)[:classes]
    pixels = patterns[chosen] + torch.randint(0, 185, (classes, images, 1, SIZE, SIZE), generator=noise)
    return pixels.flatten(0, 1).to(dtype), chosen.repeat_interleave(images)
