"""Small random affine changes of each training image, and larger ones that all images of a batch share."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from kshot.parallel.share import Share
from kshot.params.sections.augment import Augment, TaskAugment

NONE_TOGETHER = TaskAugment(mirror=0.0, degrees=0.0, scale=0.0, shear=0.0)


def random_affine(
    pixels: Tensor,
    settings: Augment,
    generator: torch.Generator,
    together: TaskAugment = NONE_TOGETHER,
    share: Share | None = None,
) -> Tensor:
    """Rotate, shift, scale and shear each image by uniform amounts up to those of `settings`.

    `together` is applied to the whole batch at once, so that transformed classes act as new classes (Ni, Goldblum,
    Sharaf, Kong, Goldstein 2021, arXiv:2010.07092).
    pixels (N, C, S, S) floating; the generator draws on the CPU, so that every device gets the same changes. Pixels
    from outside the image repeat the border. Returns the same shape, or `pixels` itself if every setting is 0. If
    `pixels` are this process's rows of a batch that is shared, `share` says which: the changes are those that they have
    in the whole batch.
    """
    alone, alike = settings.is_affine, together.is_on
    if not alone and not alike:
        return pixels
    total = share.total if share else len(pixels)
    linear, shift = torch.eye(2).expand(total, 2, 2), torch.zeros(total, 2)
    if alone:
        spread = torch.rand(total, 6, generator=generator) * 2 - 1
        linear = _linear(spread, settings)
        shift = spread[:, 4:] * 2 * settings.translate  # affine_grid's image is 2 wide
    if alike:
        spread = torch.rand(1, 5, generator=generator) * 2 - 1
        common = _linear(spread, together)
        if spread[0, 4] < 2 * together.mirror - 1:
            common = common * torch.tensor([-1.0, 1.0])
        linear, shift = common @ linear, shift @ common[0].T
    theta = torch.cat([linear, shift[:, :, None]], 2).to(pixels)
    theta = theta[share.rows] if share else theta
    grid = affine_grid(theta, list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _linear(spread: Tensor, settings: Augment | TaskAugment) -> Tensor:
    """Linear maps (N, 2, 2) that rotate, shear and scale, by `spread` (N, 4 or more) in [-1, 1] times `settings`."""
    angle = spread[:, 0] * math.radians(settings.degrees)
    shear = (spread[:, 1] * math.radians(settings.shear)).tan()
    scale_x, scale_y = 1 + spread[:, 2] * settings.scale, 1 + spread[:, 3] * settings.scale
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        [
            torch.stack([cos * scale_x, (shear * cos - sin) * scale_y], 1),
            torch.stack([sin * scale_x, (shear * sin + cos) * scale_y], 1),
        ],
        1,
    )
