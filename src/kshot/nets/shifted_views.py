"""Views of an image, mirrored or shifted: the mean of their embeddings is more stable than one embedding."""

from torch import Tensor
from torch.nn.functional import pad

COUNTS = (1, 2, 5)
SHARE = 32  # a view is shifted by 1 / SHARE of the side: one pixel of 28 and 32, seven of 224


def views(pixels: Tensor, count: int) -> list[Tensor]:
    """Return `pixels` (N, C, S, S) and views of them.

    count  2  also their mirror images, left and right exchanged, for photographs
           5  also copies shifted along each diagonal, borders repeated, for drawings, whose mirror images may be others
    The shifted copies are floating. Raises ValueError for a count that is not in `COUNTS`.
    """
    if count not in COUNTS:
        raise ValueError(f"{count} views; needs one of {', '.join(map(str, COUNTS))}")
    if count == 1:
        return [pixels]
    if count == 2:
        return [pixels, pixels.flip(-1)]
    side = pixels.shape[-1]
    far = max(1, round(side / SHARE))
    wide = pad(pixels.float(), (far, far, far, far), mode="replicate")
    corners = [(down, right) for down in (0, 2 * far) for right in (0, 2 * far)]
    return [pixels, *(wide[..., down : down + side, right : right + side] for down, right in corners)]
