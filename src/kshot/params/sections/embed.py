"""How the features of a frozen backbone are computed."""

import dataclasses
from typing import Literal

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Embed:
    """How the features of a frozen backbone are computed."""

    batch_size: int
    precision: Literal["bf16", "float32"]

    def __post_init__(self) -> None:
        need(self.batch_size >= 1, f"embed.batch_size is {self.batch_size}; needs at least 1 image")
