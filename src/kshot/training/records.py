"""The records that a training yields: steps, validations and its end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """The mean loss of the last steps, up to `step`, and their speed.

    `active` is the mean share of pairs or triplets whose loss is above zero; None for losses in which all always
    contribute.
    """

    step: int
    loss: float
    active: float | None
    learning_rate: float
    images_per_s: float


@dataclass(frozen=True)
class Validation:
    """Accuracy on the validation episodes after `step`, its 95 % interval, and whether no earlier one was higher."""

    step: int
    val_accuracy: float
    val_low: float
    val_high: float
    best: bool


@dataclass(frozen=True)
class Done:
    """The last record.

    step            after which training ended
    reason          the step whose weights are returned, and why training ended if it ended before the last step
    seconds         duration, including the time before a resumption
    peak_memory_mb  peak memory, of the device if it has its own
    """

    step: int
    done: bool
    reason: str
    seconds: float
    peak_memory_mb: float


Record = Step | Validation | Done
