"""How images are prepared and packed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Ingest:
    """How images are prepared and packed. Settings recorded by older versions lack `fit` and `store`."""

    size: int
    channels: int
    invert: bool
    crop: Literal["none", "ink"]
    fit: Literal["crop", "pad", "squash"] = "squash"
    store: Literal["pixels", "jpeg"] = "pixels"

    def __post_init__(self) -> None:
        need(8 <= self.size <= 1024, f"ingest.size is {self.size}; needs 8 to 1024 pixels")
        need(self.channels in (1, 3), f"ingest.channels is {self.channels}; needs 1 (grey) or 3 (RGB)")


def recorded_ingest(settings: Mapping[str, Any]) -> Ingest:
    """How a model's images were prepared, from the settings saved with it.

    Settings from before `ingest.crop` existed do not have it: nothing was cropped.
    """
    return Ingest(**{"crop": "none", **settings["ingest"]})
