"""Small random affine changes of training images, one an image."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from kshot.train_params import Augment


def random_affine(pixels: Tensor, settings: Augment, generator: torch.Generator) -> Tensor:
    """Turn, shift, scale and shear each image by uniform amounts up to those of `settings`.

    pixels (N, C, S, S) floating; the generator draws on the CPU, so that every device sees the same changes. What
    comes in from outside repeats the border. Returns the same shape, or `pixels` itself when every knob is 0.
    """
    if not any((settings.degrees, settings.translate, settings.scale, settings.shear)):
        return pixels
    spread = torch.rand(len(pixels), 6, generator=generator) * 2 - 1
    angle = spread[:, 0] * math.radians(settings.degrees)
    shear = (spread[:, 1] * math.radians(settings.shear)).tan()
    scale_x, scale_y = 1 + spread[:, 2] * settings.scale, 1 + spread[:, 3] * settings.scale
    shift = spread[:, 4:] * 2 * settings.translate  # affine_grid's image is 2 wide
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([cos * scale_x, (shear * cos - sin) * scale_y, shift[:, 0]], 1),
            torch.stack([sin * scale_x, (shear * sin + cos) * scale_y, shift[:, 1]], 1),
        ],
        1,
    ).to(pixels)
    grid = affine_grid(theta, list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False)
