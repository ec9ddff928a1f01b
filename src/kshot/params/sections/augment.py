"""Keys augment and task_augment of section train: random changes of training images."""

import dataclasses
from typing import Literal

from kshot.params.reader import need

# The usual changes in training on photographs (Szegedy et al. 2015, arXiv:1409.4842; Zhong et al. 2020,
# arXiv:1708.04896), weaker crops than ImageNet's 0.08, because the few images of a class show whole objects.
PHOTOGRAPHS = {"resized_crop": 0.35, "mirror": 0.5, "colour_jitter": 0.3, "erase": 0.25}
AFFINE = ("degrees", "translate", "scale", "shear")


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random changes of a training image; 0 turns a change off.

    degrees, translate, scale, shear  the largest affine changes
    preset         photographs: PHOTOGRAPHS holds the values of the changes below that are null; none: they are off
    resized_crop   smallest share of the image's area that a random crop keeps, scaled to the network's input
    mirror         probability of exchanging left and right
    colour_jitter  largest change of brightness, contrast and saturation, as a share of each
    erase          probability of filling a random rectangle with black
    """

    degrees: float = 0.0
    translate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    preset: Literal["none", "photographs"] = "none"
    resized_crop: float | None = None
    mirror: float | None = None
    colour_jitter: float | None = None
    erase: float | None = None

    def __post_init__(self) -> None:
        _check_changes(self, "augment", AFFINE)
        for name in PHOTOGRAPHS:
            value = getattr(self, name)
            need(value is None or 0 <= value <= 1, f"train.augment.{name} is {value}; needs 0 to 1, or null")

    @property
    def is_affine(self) -> bool:
        """Whether any affine change is on."""
        return any(getattr(self, name) for name in AFFINE)

    @property
    def of_photographs(self) -> dict[str, float]:
        """The changes of photographs by name, with the preset's values where none is given; only those that are on."""
        usual = PHOTOGRAPHS if self.preset == "photographs" else dict.fromkeys(PHOTOGRAPHS, 0.0)
        given = {name: getattr(self, name) for name in PHOTOGRAPHS}
        found = {name: usual[name] if value is None else value for name, value in given.items()}
        return {name: float(value) for name, value in found.items() if value}

    @property
    def is_on(self) -> bool:
        """Whether any change is on."""
        return self.is_affine or bool(self.of_photographs)


@dataclasses.dataclass(frozen=True)
class TaskAugment:
    """Largest random changes of a whole batch, the same for all its images; mirror is the probability of mirroring."""

    mirror: float
    degrees: float
    scale: float
    shear: float

    def __post_init__(self) -> None:
        _check_changes(self, "task_augment", ("mirror", "degrees", "scale", "shear"))
        need(self.mirror <= 1, f"train.task_augment.mirror is {self.mirror}; needs 0 to 1, how likely it is")

    @property
    def is_on(self) -> bool:
        """Whether any change is on."""
        return any(dataclasses.astuple(self))


def _check_changes(found: Augment | TaskAugment, name: str, fields: tuple[str, ...]) -> None:
    for field in fields:
        value = getattr(found, field)
        need(value >= 0, f"train.{name}.{field} is {value}; needs 0 or more")
    need(found.scale < 1, f"train.{name}.scale is {found.scale}; needs to lie below 1")
    need(found.shear < 90, f"train.{name}.shear is {found.shear}; needs to lie below 90 degrees")
