"""The report's section of wrong predictions: each query with the support images that decided it."""

from typing import Any

import pandas as pd

from kshot.lifecycle.pages.thumbnails import Thumbnails, data_address, file_of

SHOWN = 12


def wrong_predictions(table: pd.DataFrame | None, thumbnails: Thumbnails | None) -> list[dict[str, Any]] | None:
    """The first SHOWN rows of a protocol's table of wrong predictions, with images; None if there is no table.

    table: class, predicted, image, right_support and wrong_support, as written by stage evaluate.
    """
    if table is None:
        return None
    return [
        {
            "class": row["class"],
            "predicted": row["predicted"],
            "query": _image(row["image"], thumbnails),
            "right": _image(row["right_support"], thumbnails),
            "taken_for": _image(row["wrong_support"], thumbnails),
        }
        for row in table.head(SHOWN).to_dict("records")
    ]


def _image(image: float, thumbnails: Thumbnails | None) -> dict[str, str | None]:
    address = data_address(thumbnails, int(image)) if thumbnails is not None else None
    return {"address": address, "file": file_of(thumbnails, int(image))}
