"""Open-set figures of the project's model: thresholds from the validation episodes, measured on the test episodes."""

from pathlib import Path
from typing import Any

from kshot.evaluation.open_set import calibrate, open_set
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.stages.evaluation.held_out import HeldOut
from kshot.nets.points import Points

Figures = dict[str, dict[str, Any]]


def unknown(root: Path, protocols: list[str], points: Points, held_out: HeldOut | None, accept: float) -> Figures:
    """The fields of `kshot.evaluation.open_set.OpenSet` by protocol, for test images embedded as `points`.

    The threshold accepts the share `accept` of the validation classes' own queries. Without `held_out` there is no
    threshold: the model was trained on those classes, and recognises them better than any new class.
    """
    thresholds = (
        {name: calibrate(held_out.points, episodes, accept) for name, episodes in held_out.episodes.items()}
        if held_out
        else {}
    )
    found: Figures = {}
    for name in protocols:
        figures = open_set(points, read_episodes(root, "test", name), thresholds.get(name))
        if figures is not None:
            rounded = {
                key: round(value, 6) if isinstance(value, float) else value for key, value in figures._asdict().items()
            }
            found[name] = rounded
    return found


def by_shots(root: Path, figures: Figures) -> dict[int, float]:
    """The thresholds by k_shot; for protocols with equal k_shot, the threshold of the one with most classes."""
    shots = {name: read_episodes(root, "test", name).support.shape[1:] for name in figures}
    ordered = sorted(figures, key=lambda name: shots[name])
    return {
        int(shots[name][1]): figures[name]["threshold"] for name in ordered if figures[name]["threshold"] is not None
    }
