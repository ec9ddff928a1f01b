"""The limits that the images of a data version must keep."""

import dataclasses

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Validate:
    max_unreadable_share: float
    min_side: int
    max_aspect_ratio: float

    def __post_init__(self) -> None:
        need(
            0 <= self.max_unreadable_share < 1,
            f"validate.max_unreadable_share is {self.max_unreadable_share}; needs to lie in [0, 1)",
        )
        need(self.min_side >= 1, f"validate.min_side is {self.min_side}; needs at least 1 pixel")
        need(self.max_aspect_ratio >= 1, f"validate.max_aspect_ratio is {self.max_aspect_ratio}; needs at least 1")
