"""The embedded validation episodes, on whose classes thresholds and temperatures are set."""

from pathlib import Path
from typing import NamedTuple

from kshot.classifiers.classifier import Classifier
from kshot.data.episodes import EpisodeSet
from kshot.evaluation.evaluate import embed_once
from kshot.evaluation.inference import Inference, classifier_for, inference_method
from kshot.lifecycle.data.packed import read_episodes
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.stages.features import inputs_of
from kshot.nets.points import Points


class HeldOut(NamedTuple):
    """Validation episodes by protocol, their embedded images, and the classifier that scores them."""

    episodes: dict[str, EpisodeSet]
    points: Points
    classifier: Classifier


def read_held_out(root: Path, protocols: list[str], inference: Inference) -> HeldOut:
    """Embed every image of the validation episodes of `protocols` once, by the project's model."""
    sets = {name: read_episodes(root, "val", name) for name in protocols}
    method = inference_method(root / layout.MODEL, inference, project_device(root))
    ids = [part for episodes in sets.values() for part in (episodes.support, episodes.query)]
    points = embed_once(method, inputs_of(root, method.embedding), *ids)
    return HeldOut(sets, points, classifier_for(method, inference.classifier))
