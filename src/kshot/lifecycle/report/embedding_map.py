"""The map of the embedding: projected test images as marks with thumbnails, placed in per cent of a box."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kshot.lifecycle.pages.svg import WIDTH, placed
from kshot.lifecycle.pages.thumbnails import Thumbnails, data_address, file_of

LEAST, MOST = 158, 408  # height of the box without its margins, in its own units
MOST_IMAGES = 360  # on the map, so that the page stays small
SIDE = 64  # pixels of a thumbnail


def embedding_map(table: pd.DataFrame, thumbnails: Thumbnails | None) -> dict[str, Any] | None:
    """The box, and each class's name, points and middle; None for an empty table.

    table: x, y, class and image of each projected image. Of more than MOST_IMAGES images every class shows evenly
    spaced ones. A point has `left` and `top` in per cent, its thumbnail's `address`, its `file`, and the `side` to
    which the thumbnail opens, so that it stays inside the box.
    """
    if not len(table):
        return None
    places, height = placed(table[["x", "y"]].to_numpy(dtype=np.float64), LEAST, MOST)
    images = table["image"].to_numpy(dtype=np.int64)
    per_class = max(1, MOST_IMAGES // table["class"].nunique())
    classes = []
    for name, part in table.reset_index(drop=True).groupby("class", sort=False):
        rows = part.index.to_numpy()
        own = places[rows]
        middle = int(rows[np.square(own - np.median(own, axis=0)).sum(axis=1).argmin()])
        chosen = rows[np.linspace(0, len(rows) - 1, min(per_class, len(rows))).round().astype(int)]
        points = [_point(places[row], height, int(images[row]), thumbnails) for row in chosen]
        central = _point(places[middle], height, int(images[middle]), thumbnails)
        classes.append({"name": str(name), "points": points, "middle": central})
    shown = sum(len(one["points"]) for one in classes)
    return {"width": WIDTH, "height": round(height), "classes": classes, "shown": shown, "images": len(table)}


def _point(place: NDArray[np.float64], height: float, image: int, thumbnails: Thumbnails | None) -> dict[str, Any]:
    left, top = 100 * place[0] / WIDTH, 100 * place[1] / height
    return {
        "left": f"{left:.2f}",
        "top": f"{top:.2f}",
        "side": f"{'west' if left > 50 else 'east'} {'north' if top > 50 else 'south'}",
        "address": data_address(thumbnails, image, SIDE) if thumbnails is not None else None,
        "file": file_of(thumbnails, image),
    }
