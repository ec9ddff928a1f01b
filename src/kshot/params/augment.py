"""Keys augment and task_augment of section train: random changes of training images."""

import dataclasses

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Augment:
    """Largest random changes of a training image; 0 turns a change off."""

    degrees: float
    translate: float
    scale: float
    shear: float

    def __post_init__(self) -> None:
        _check_changes(self, "augment")


@dataclasses.dataclass(frozen=True)
class TaskAugment:
    """Largest random changes of a whole batch, the same for all its images; mirror is the probability of mirroring."""

    mirror: float
    degrees: float
    scale: float
    shear: float

    def __post_init__(self) -> None:
        _check_changes(self, "task_augment")
        need(self.mirror <= 1, f"train.task_augment.mirror is {self.mirror}; needs 0 to 1, how likely it is")


def _check_changes(found: Augment | TaskAugment, name: str) -> None:
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        need(value >= 0, f"train.{name}.{field.name} is {value}; needs 0 or more")
    need(found.scale < 1, f"train.{name}.scale is {found.scale}; needs to lie below 1")
    need(found.shear < 90, f"train.{name}.shear is {found.shear}; needs to lie below 90 degrees")
