"""Temperatures of the project's model: chosen on the validation episodes, measured on the test episodes."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from kshot.evaluation.calibration import EPISODES, chosen_temperature, class_scores, measured
from kshot.evaluation.inference import Temperature
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.stages.evaluation.held_out import HeldOut
from kshot.nets.points import Points

Figures = dict[str, dict[str, Any]]
DIGITS = 9  # of a temperature, whose scale is the model's own


def temperatures(held_out: HeldOut, within_group: Collection[str]) -> dict[str, Temperature]:
    """The temperature of each protocol that has one; `within_group` names those whose classes are of one group."""
    found = {}
    for name, episodes in held_out.episodes.items():
        scores, truth = class_scores(held_out.points, episodes, held_out.classifier)
        value = chosen_temperature(scores, truth, min(EPISODES, len(episodes.support)))
        if value is not None:
            n_way, k_shot = episodes.support.shape[1:]
            found[name] = Temperature(n_way, k_shot, float(f"{value:.{DIGITS}g}"), name in within_group)
    return found


def calibration(root: Path, held_out: HeldOut, points: Points, fitted: dict[str, Temperature]) -> Figures:
    """The fields of `kshot.evaluation.calibration.Calibration` by protocol, for test images embedded as `points`."""
    found: Figures = {}
    for name in held_out.episodes:
        temperature = fitted[name].value if name in fitted else None
        figures = measured(points, read_episodes(root, "test", name), held_out.classifier, temperature)
        found[name] = {
            "temperature": temperature,
            "before": round(figures.before, 6),
            "after": None if figures.after is None else round(figures.after, 6),
            "queries": figures.queries,
        }
    return found
