"""Open-set figures of the project's model: thresholds from the validation episodes, measured on the test episodes."""

from pathlib import Path
from typing import Any

from kshot.evaluation.classifier import Answering, answering_method
from kshot.evaluation.evaluate import embed_once
from kshot.evaluation.open_set import calibrate, open_set
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.stages.features import inputs_of
from kshot.nets.points import Points

Figures = dict[str, dict[str, Any]]


def unknown(
    root: Path, protocols: list[str], points: Points, answering: Answering, accept: float, *, validated: bool
) -> Figures:
    """The fields of `kshot.evaluation.open_set.OpenSet` by protocol, for test images embedded as `points`.

    The threshold accepts the share `accept` of the validation classes' own queries. With `validated` False there is no
    threshold: the model was trained on those classes, and recognises them better than any new class.
    """
    thresholds = _thresholds(root, protocols, answering, accept) if validated else {}
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


def _thresholds(root: Path, protocols: list[str], answering: Answering, accept: float) -> dict[str, float]:
    sets = {name: read_episodes(root, "val", name) for name in protocols}
    method = answering_method(root / layout.MODEL, answering, project_device(root))
    ids = [part for episodes in sets.values() for part in (episodes.support, episodes.query)]
    points = embed_once(method, inputs_of(root, method.embedding.settings), *ids)
    return {name: calibrate(points, episodes, accept) for name, episodes in sets.items()}
