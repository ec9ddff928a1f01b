"""Slightly shifted views of an image: the mean of their points is more stable than the point of the image alone."""

from torch import Tensor
from torch.nn.functional import pad

COUNTS = (1, 5)
SHARE = 32  # a view is shifted by 1 / SHARE of the side: one pixel of 28 and 32, seven of 224


def views(pixels: Tensor, count: int) -> list[Tensor]:
    """Return `pixels` (N, C, S, S), and for a count of 5 also copies shifted along each diagonal, borders repeated.

    The shifted copies are floating. Raises ValueError for a count that is not in `COUNTS`.
    """
    if count not in COUNTS:
        raise ValueError(f"{count} views; needs one of {', '.join(map(str, COUNTS))}")
    if count == 1:
        return [pixels]
    side = pixels.shape[-1]
    far = max(1, round(side / SHARE))
    wide = pad(pixels.float(), (far, far, far, far), mode="replicate")
    corners = [(down, right) for down in (0, 2 * far) for right in (0, 2 * far)]
    return [pixels, *(wide[..., down : down + side, right : right + side] for down, right in corners)]
