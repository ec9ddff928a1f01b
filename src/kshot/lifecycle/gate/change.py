"""Changes from one model to another on a protocol, a group or a class, and which of them are significant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kshot.statistics import Interval, holm, probability_beyond

SIGNIFICANT = 0.05
ROUNDING = 1e-9  # 0.90 - 0.85 is a little more than 0.05: a figure that meets a limit exactly must pass


@dataclass(frozen=True)
class Change:
    """Accuracies of both models in [0, 1], and their paired difference new - old with its 95 % interval over episodes.

    name      the group or class; '' for a protocol, and for the classes without a group
    episodes  how many episodes contain it
    """

    protocol: str
    name: str
    old: float
    new: float
    difference: Interval
    episodes: int


def certainly_lost(changes: Sequence[Change], limit: float) -> list[bool]:
    """For each change, whether it lost significantly more than `limit`; all changes are one family of tests (Holm).

    For a single change: whether its 95 % interval lies entirely below -limit.
    """
    found = [probability_beyond(change.difference, -limit - ROUNDING, change.episodes) for change in changes]
    return [probability < SIGNIFICANT for probability in holm(found)]


def certainly_gained(changes: Sequence[Change]) -> list[bool]:
    """For each change, whether it gained significantly; all changes are one family of tests (Holm)."""
    turned = [
        replace(one, difference=Interval(-one.difference.mean, -one.difference.high, -one.difference.low))
        for one in changes
    ]
    return certainly_lost(turned, 0.0)


def worst_first(changes: Sequence[Change]) -> list[Change]:
    """The changes, largest loss first."""
    return sorted(changes, key=lambda change: (change.difference.mean, change.name))
