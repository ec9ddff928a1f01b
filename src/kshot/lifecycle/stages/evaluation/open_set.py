"""Open-set figures of the project's model: thresholds from the validation episodes, measured on the test episodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kshot.evaluation.mean_distance import MeanDistance
from kshot.evaluation.open_set import calibrate, open_set
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.stages.evaluation.held_out import HeldOut
from kshot.nets.points import Points

Figures = dict[str, dict[str, Any]]
DIGITS = 6  # after the point, of a figure and a threshold


def thresholds(held_out: HeldOut | None, accept: float, between: MeanDistance) -> dict[str, float]:
    """The threshold of each protocol, which accepts the share `accept` of the validation classes' own queries.

    None without `held_out`: the model was trained on those classes, and recognises them better than any new class.
    """
    if held_out is None:
        return {}
    return {
        name: round(calibrate(held_out.points, one, accept, between), DIGITS) for name, one in held_out.episodes.items()
    }


def unknown(
    root: Path, protocols: list[str], points: Points, limits: Mapping[str, float], between: MeanDistance
) -> Figures:
    """The fields of `kshot.evaluation.open_set.OpenSet` by protocol, for test images embedded as `points`.

    limits: the thresholds by protocol. A protocol that asks all test classes in every episode has no unknown queries
    and no figures.
    """
    found: Figures = {}
    for name in protocols:
        figures = open_set(points, read_episodes(root, "test", name), limits.get(name), between)
        if figures is not None:
            found[name] = {
                key: round(value, DIGITS) if isinstance(value, float) else value
                for key, value in figures._asdict().items()
            }
    return found


def by_shots(root: Path, limits: Mapping[str, float]) -> dict[int, float]:
    """The thresholds by k_shot; for protocols with equal k_shot, the threshold of the one with most classes."""
    shots = {name: read_episodes(root, "test", name).support.shape[1:] for name in limits}
    return {int(shots[name][1]): limits[name] for name in sorted(limits, key=lambda name: shots[name])}
