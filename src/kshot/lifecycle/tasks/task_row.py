"""Figures of one task, and of one protocol's predictions."""

from dataclasses import dataclass

from kshot.statistics import Interval


@dataclass(frozen=True)
class TaskRow:
    """One task.

    split         train, val, test or new
    shots         images per class, on average
    predicted     predicted accuracy of the model, None if it cannot be trusted
    measured      measured accuracy, None if there is nothing to measure it on
    outlyingness  as in `kshot.tasks.space`
    limit         of the outlyingness, from validation tasks; None if no limit could be set
    x, y          position on the map
    """

    name: str
    split: str
    classes: int
    images: int
    shots: float
    predicted: float | None
    measured: float | None
    nearest: tuple[tuple[str, float], ...]
    outlyingness: float
    limit: float | None
    x: float
    y: float

    @property
    def is_outlier(self) -> bool:
        """Whether it is outside what the model was trained for, so that every figure about it is doubtful."""
        return self.limit is not None and self.outlyingness > self.limit


@dataclass(frozen=True)
class Trust:
    """Predicted and measured accuracy on test episodes of one protocol: means, and Spearman's correlation."""

    protocol: str
    episodes: int
    predicted: float | None
    measured: float
    correlation: Interval
