"""Which classes are for training, validation and test."""

import dataclasses
from typing import Literal

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Split:
    """Which classes are for training, validation and test. Settings recorded by older versions lack `assign`."""

    by: Literal["auto", "table", "group", "class"]
    val: float
    test: float
    seed: int
    rotations: Literal["none", "train", "all"]
    assign: Literal["rank", "hash"] = "rank"

    def __post_init__(self) -> None:
        need(
            0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1,
            f"split.val is {self.val} and split.test {self.test}; each needs to lie between 0 and 1 "
            "and their sum below 1, so that classes are left to train on",
        )

    def turns(self, split: str) -> int:
        """How many classes a class of `split` is: 4, one for each quarter turn, or 1."""
        return 4 if self.rotations == "all" or self.rotations == split else 1
