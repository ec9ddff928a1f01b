"""The rules of a promotion."""

import dataclasses
from typing import Literal

from kshot.params.reader import need, resolved


@dataclasses.dataclass(frozen=True)
class Gate:
    """The rules of a promotion; with `auto`, by the protocol with the fewest classes that a data version can fill."""

    min_accuracy: dict[str, float] | Literal["auto"]
    group_protocol: str
    non_inferiority_margin: float
    significantly_worse: Literal["refuse", "allow"]
    reference: str | int
    max_group_drop: float
    max_class_drop: float
    approval: Literal["automatic", "manual", "signed"]
    approval_timeout: float
    gallery_margin: float | None = None  # None: galleries are not compared
    gallery_loss: Literal["wait", "refuse"] = "wait"

    def __post_init__(self) -> None:
        need(bool(self.min_accuracy), "gate.min_accuracy is empty; needs at least one protocol, such as 5w1s: 0.8")
        for name, value in self.min_accuracy.items() if isinstance(self.min_accuracy, dict) else ():
            need(0 <= value <= 1, f"gate.min_accuracy.{name} is {value}; needs to lie in [0, 1]")
        for key in ("non_inferiority_margin", "max_group_drop", "max_class_drop"):
            value = getattr(self, key)
            need(0 <= value <= 1, f"gate.{key} is {value}; needs to lie in [0, 1]")
        margin = self.gallery_margin
        need(margin is None or 0 <= margin <= 1, f"gate.gallery_margin is {margin}; needs to lie in [0, 1], or null")
        wanted = self.reference
        need(
            wanted == "best" or (isinstance(wanted, int) and wanted >= 1),
            f"gate.reference is {wanted!r}; needs best, or the number of a version",
        )
        hours = self.approval_timeout
        need(0 < hours <= 8784, f"gate.approval_timeout is {hours}; needs more than 0 hours and at most a year, 8784")

    @property
    def floors(self) -> dict[str, float]:
        """The minimum accuracy by protocol. Raises ParamsError for `auto`."""
        return resolved("gate.min_accuracy", self.min_accuracy)
