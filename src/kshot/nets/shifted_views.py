"""An image and itself moved a little: a point that is the mean over such views is steadier than that of the image."""

from torch import Tensor
from torch.nn.functional import pad

COUNTS = (1, 5)
SHARE = 32  # of the side is what a view is moved by: one pixel of 28 and 32, seven of 224


def views(pixels: Tensor, count: int) -> list[Tensor]:
    """`pixels` (N, C, S, S), and for a count of 5 also moved along each diagonal; the border is repeated.

    The moved ones are floating. Raises ValueError for another count than those of `COUNTS`.
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
