"""Chooses on validation episodes whether a point is the mean over an image and its mirror image.

Two views double the time of a prediction, so that they have to gain more than chance and more than LEAST_GAIN. Test
episodes take no part.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kshot.evaluation.evaluate import accuracies, predict_episodes
from kshot.evaluation.inference import Inference
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.stages.evaluation.held_out import read_held_out
from kshot.params.methods import options_of
from kshot.params.schema import AUTO, Params
from kshot.statistics import paired_difference

MIRRORED = 2
LEAST_GAIN = 0.005  # of accuracy


class ChosenViews(NamedTuple):
    """The views, the figures behind them for metrics.json, and a line for a person; no figures if params.yaml gives
    the views."""

    views: int
    figures: dict[str, Any]
    line: str


def chosen_views(root: Path, params: Params, inference: Inference, protocols: list[str]) -> ChosenViews:
    """The views of `evaluate.views`, where `auto` is measured on the validation episodes of the hardest of `protocols`.

    One view where nothing can be measured: the validation classes were trained on, or the method has no fixed
    embedding.
    """
    if params.evaluate.views != AUTO:
        return ChosenViews(params.evaluate.views, {}, "")
    if "val" in params.train.splits or not options_of(inference.method).fixed_embedding:
        why = "trained on" if "val" in params.train.splits else "embedded only within an episode"
        return ChosenViews(1, {"chosen": 1}, f"evaluate.views: auto is 1, as the validation classes are {why}")
    name = hardest(root, protocols)
    found = []
    for views in (1, MIRRORED):
        held = read_held_out(root, [name], replace(inference, views=views))
        found.append(accuracies(predict_episodes(held.points, held.episodes[name], held.classifier)))
    gain = paired_difference(found[1], found[0])
    views = MIRRORED if gain.mean >= LEAST_GAIN and gain.low > 0 else 1
    figures = {
        "chosen": views,
        "protocol": name,
        "episodes": len(found[0]),
        "one": round(float(found[0].mean()), 6),
        "mirrored": round(float(found[1].mean()), 6),
        **{key: round(getattr(gain, key), 6) for key in ("mean", "low", "high")},
    }
    mean, low, high = (100 * value for value in (gain.mean, gain.low, gain.high))
    line = (
        f"evaluate.views: auto is {views}: the mirror image changes {name} on validation classes by {mean:+.2f} points "
        f"[{low:+.2f}, {high:+.2f}]; two views need {100 * LEAST_GAIN:+.2f} and more than chance"
    )
    return ChosenViews(views, figures, line)


def hardest(root: Path, protocols: list[str]) -> str:
    """The protocol of the fewest shots and, of these, of the most classes; the first by name of equals."""

    def rank(name: str) -> tuple[int, int, str]:
        n_way, k_shot = read_episodes(root, "val", name).support.shape[1:]
        return k_shot, -n_way, name

    return min(protocols, key=rank)
