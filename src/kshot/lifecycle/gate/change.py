"""What changed from one model to another on a protocol, a group or a class, and what of it is certain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kshot.statistics import Interval, holm, probability_beyond

SIGNIFICANT = 0.05
ROUNDING = 1e-9  # 0.90 - 0.85 is a little more than 0.05: a figure that meets a limit exactly keeps it


@dataclass(frozen=True)
class Change:
    """Accuracies of both models in [0, 1], and their paired difference new - old with its 95 % interval over episodes.

    name      the group or class, '' for a protocol and for the classes without a group
    episodes  those that asked it
    """

    protocol: str
    name: str
    old: float
    new: float
    difference: Interval
    episodes: int


def certainly_lost(changes: Sequence[Change], limit: float) -> list[bool]:
    """Of each change, whether it lost more than `limit` for certain, all changes counted as tests of one family (Holm).

    With one change alone: whether its 95 % interval lies below -limit as a whole.
    """
    found = [probability_beyond(change.difference, -limit - ROUNDING, change.episodes) for change in changes]
    return [probability < SIGNIFICANT for probability in holm(found)]


def certainly_gained(changes: Sequence[Change]) -> list[bool]:
    """Of each change, whether it gained for certain, all changes counted as tests of one family (Holm)."""
    turned = [
        replace(one, difference=Interval(-one.difference.mean, -one.difference.high, -one.difference.low))
        for one in changes
    ]
    return certainly_lost(turned, 0.0)


def worst_first(changes: Sequence[Change]) -> list[Change]:
    """The changes, what lost most first."""
    return sorted(changes, key=lambda change: (change.difference.mean, change.name))
