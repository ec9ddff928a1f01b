"""Inference settings saved with a model, so that it is served exactly as it was evaluated; every figure names them."""

import functools
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from kshot import plugins
from kshot.classifiers import EUCLIDEAN, OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.classifiers.classifier import Classifier
from kshot.classifiers.simple_shot import simple_shot_scores
from kshot.classifiers.table import CLASSIFIERS
from kshot.errors import CheckpointError, ParamsError
from kshot.evaluation.own_predictions import own_scorer
from kshot.methods.method import Method
from kshot.methods.saving import load_method, weights_hash
from kshot.params.classifiers import plugin_classifier
from kshot.params.methods import options_of

INFERENCE_FILE = "inference.json"
EARLIER_FILE = "answering.json"  # its name until 2026-11, with `classifier` as `head`: read, never written
OF_WEIGHTS = "weights_sha256"  # `kshot.methods.saving.weights_hash`; absent in older files


@dataclass(frozen=True)
class Temperature:
    """The divisor of scores before the softmax, for episodes of `n_way` classes with `k_shot` support images.

    within_group  whether the classes of an episode are of one group, and so harder to tell apart than others
    """

    n_way: int
    k_shot: int
    value: float
    within_group: bool = False


@dataclass(frozen=True)
class Inference:
    """How a model predicts the queries of an episode.

    method      that trained the model
    classifier  one of `kshot.classifiers`, or "method" for the method's own scores
    batch_norm  the batch statistics it uses: "eval" of training; "support" of the episode's support, so that no query
                influences another; "transductive" of all queries
    distance    of queries to class means, one of `kshot.evaluation.mean_distance`
    thresholds  by support images a class: the distance to the nearest class mean beyond which a query is unknown; empty
                if none was set
    views       of `kshot.nets.shifted_views`, over which each point is the mean
    plugin      that defines a classifier that is not kshot's own, as `Plugin.given_by`; None for kshot's own
    together    whether the plug-in's classifier sees all queries of an episode at once
    temperatures that make its scores probabilities, one a protocol; empty if none was fitted
    """

    method: str
    classifier: str
    batch_norm: str
    thresholds: dict[int, float] = field(default_factory=dict)
    views: int = 1
    plugin: str | None = None
    together: bool = False
    temperatures: tuple[Temperature, ...] = ()
    distance: str = EUCLIDEAN

    @property
    def transductive(self) -> bool:
        """Whether the prediction for a query depends on the other queries of its episode."""
        return self.classifier in TRANSDUCTIVE or self.together or self.batch_norm == "transductive"

    @property
    def record(self) -> dict[str, Any]:
        """All settings, for a file."""
        return asdict(self)

    @property
    def by(self) -> str:
        """A description: "prototype", "prototype, 5 views" or "maml, transductive"."""
        name = self.method if self.classifier == OWN else self.classifier
        name = f"{name}, {self.views} views" if self.views > 1 else name
        return f"{name}, transductive" if self.transductive else name

    def threshold(self, k_shot: float) -> float | None:
        """The threshold for the number of shots nearest to `k_shot`; None if there are no thresholds."""
        nearest = min(self.thresholds, key=lambda shots: (abs(shots - k_shot), shots), default=None)
        return None if nearest is None else self.thresholds[nearest]

    def temperature(self, n_way: float, k_shot: float) -> float | None:
        """The temperature of the protocol nearest to `n_way` and `k_shot`, by their ratios; None if there is none.

        Protocols within a group are considered only if there are no others.
        """

        def distance(one: Temperature) -> tuple[bool, float]:
            return one.within_group, abs(math.log(one.k_shot / k_shot)) + abs(math.log(one.n_way / n_way))

        nearest = min(self.temperatures, key=distance, default=None)
        return None if nearest is None else nearest.value


def inference_of(method: str, classifier: str, batch_norm: str, views: int = 1) -> Inference:
    """Inference settings of a model of `method` if `evaluate.classifier` is `classifier`.

    Methods without their own classifier use the nearest prototype.
    """
    found = plugin_classifier(classifier)
    return Inference(
        method,
        "prototype" if classifier == OWN and not options_of(method).own_classifier else classifier,
        batch_norm,
        views=views,
        plugin=found[0].given_by if found else None,
        together=bool(found and getattr(found[1], "transductive", False)),
    )


def inference_method(folder: Path, inference: Inference, device: str | torch.device = "cpu") -> Method:
    """Load the method saved in `folder`, with the views in `inference`.

    Raises CheckpointError if its classifier's plug-in is missing.
    """
    if inference.plugin is not None and plugins.find("classifiers", inference.classifier) is None:
        needed = plugins.missing("classifiers", inference.classifier, inference.plugin)
        raise CheckpointError(f"{folder} holds a model that cannot predict here: {needed}")
    return load_method(folder, device, views=inference.views)


def classifier_for(method: Method, classifier: str) -> Classifier:
    """The function that scores embedded episodes: `method`'s own, or the one named `classifier`."""
    if classifier == OWN:
        return own_scorer(method)
    if classifier == SIMPLE_SHOT:
        return functools.partial(simple_shot_scores, centre=method.centre.cpu())
    found = plugin_classifier(classifier)
    return functools.partial(_checked_scores, *found) if found else CLASSIFIERS[classifier]


def _checked_scores(
    plugin: plugins.Plugin,
    classifier: Classifier,
    support: torch.Tensor,
    labels: torch.Tensor,
    query: torch.Tensor,
    n_way: int,
) -> torch.Tensor:
    """The scores of a plug-in's classifier. Raises ParamsError if their shape is not (E, Q, n_way)."""
    scores, wanted = classifier(support, labels, query, n_way), (*query.shape[:2], n_way)
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != wanted:
        found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise ParamsError(f"the {plugin} returned {found}; needs scores of shape {wanted}: (episodes, queries, n_way)")
    return scores


def save_inference(inference: Inference, folder: Path, weights: str | None = None) -> None:
    """Write `inference` into `folder`, with the hash of the weights that were evaluated if they lie elsewhere."""
    found = {**inference.record, "transductive": inference.transductive}
    text = json.dumps({**found, OF_WEIGHTS: weights} if weights else found, indent=2)
    (folder / INFERENCE_FILE).write_text(text + "\n", encoding="utf-8")


def inference_file(folder: Path) -> Path | None:
    """The file of inference settings in `folder`; None if it has none."""
    return next((folder / name for name in (INFERENCE_FILE, EARLIER_FILE) if (folder / name).is_file()), None)


def load_inference(folder: Path) -> Inference:
    """Load the inference settings from `folder`; the nearest prototype if there are none, as in older models."""
    path = inference_file(folder)
    if path is None:
        return Inference("metric", "prototype", "eval")
    found = json.loads(path.read_text(encoding="utf-8"))
    classifier = found["head"] if path.name == EARLIER_FILE else found["classifier"]
    thresholds = {int(shots): distance for shots, distance in found.get("thresholds", {}).items()}
    method, views = found.get("method", "metric"), found.get("views", 1)
    plugin, together = found.get("plugin"), found.get("together", False)
    temperatures = tuple(Temperature(**one) for one in found.get("temperatures", ()))
    distance = found.get("distance", EUCLIDEAN)  # of older models, whatever their classifier compares by
    return Inference(
        method, classifier, found["batch_norm"], thresholds, views, plugin, together, temperatures, distance
    )


def evaluates(folder: Path, model: Path) -> bool:
    """Whether the settings in `folder` are there and of the weights in `model`, as far as they say of which."""
    path = inference_file(folder)
    if path is None:
        return False
    weights = json.loads(path.read_text(encoding="utf-8")).get(OF_WEIGHTS)
    return weights is None or weights == weights_hash(model)
