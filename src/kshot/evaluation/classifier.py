"""Inference settings saved with a model, so that it is served exactly as it was evaluated; every figure names them."""

import functools
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from kshot import plugins
from kshot.classifiers import OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.classifiers.head import Head
from kshot.classifiers.simple_shot import simple_shot_head
from kshot.classifiers.table import HEADS
from kshot.errors import CheckpointError, ParamsError
from kshot.evaluation.own_answers import own_scorer
from kshot.methods.method import Method
from kshot.methods.saving import load_method, weights_hash
from kshot.params.classifiers import plugin_classifier
from kshot.params.methods import takes_of

ANSWERING = "answering.json"
OF_WEIGHTS = "weights_sha256"  # `kshot.methods.saving.weights_hash`; absent in older files


@dataclass(frozen=True)
class Temperature:
    """What scores are divided by before the softmax, for episodes of `n_way` classes with `k_shot` support images."""

    n_way: int
    k_shot: int
    value: float


@dataclass(frozen=True)
class Answering:
    """How a model predicts the queries of an episode.

    method      that trained the model
    head        the classifier, one of `kshot.classifiers`, or "method" for the method's own scores
    batch_norm  the batch statistics it uses: "eval" of training; "support" of the episode's support, so that no query
                influences another; "transductive" of all queries
    thresholds  by support images a class: the Euclidean distance to the nearest class mean beyond which a query is
                unknown; empty if none was set
    views       of `kshot.nets.shifted_views`, over which each point is the mean
    plugin      that defines a classifier that is not kshot's own, as `Plugin.given_by`; None for kshot's own
    together    whether the plug-in's classifier sees all queries of an episode at once
    temperatures that make its scores probabilities, one a protocol; empty if none was fitted
    """

    method: str
    head: str
    batch_norm: str
    thresholds: dict[int, float] = field(default_factory=dict)
    views: int = 1
    plugin: str | None = None
    together: bool = False
    temperatures: tuple[Temperature, ...] = ()

    @property
    def transductive(self) -> bool:
        """Whether the prediction for a query depends on the other queries of its episode."""
        return self.head in TRANSDUCTIVE or self.together or self.batch_norm == "transductive"

    @property
    def by(self) -> str:
        """A description: "prototype", "prototype, 5 views" or "maml, transductive"."""
        name = self.method if self.head == OWN else self.head
        name = f"{name}, {self.views} views" if self.views > 1 else name
        return f"{name}, transductive" if self.transductive else name

    def threshold(self, k_shot: float) -> float | None:
        """The threshold for the number of shots nearest to `k_shot`; None if there are no thresholds."""
        nearest = min(self.thresholds, key=lambda shots: (abs(shots - k_shot), shots), default=None)
        return None if nearest is None else self.thresholds[nearest]

    def temperature(self, n_way: float, k_shot: float) -> float | None:
        """The temperature of the protocol nearest to `n_way` and `k_shot`, by their ratios; None if there is none."""

        def distance(one: Temperature) -> float:
            return abs(math.log(one.k_shot / k_shot)) + abs(math.log(one.n_way / n_way))

        nearest = min(self.temperatures, key=distance, default=None)
        return None if nearest is None else nearest.value


def answering_of(method: str, head: str, batch_norm: str, views: int = 1) -> Answering:
    """Inference settings of a model of `method` if `evaluate.classifier` is `head`.

    Methods without their own classifier use the nearest prototype.
    """
    found = plugin_classifier(head)
    return Answering(
        method,
        "prototype" if head == OWN and not takes_of(method).answers else head,
        batch_norm,
        views=views,
        plugin=found[0].given_by if found else None,
        together=bool(found and getattr(found[1], "transductive", False)),
    )


def answering_method(folder: Path, answering: Answering, device: str | torch.device = "cpu") -> Method:
    """Load the method saved in `folder`, with the views in `answering`.

    Raises CheckpointError if its classifier's plug-in is missing.
    """
    if answering.plugin is not None and plugins.find("classifiers", answering.head) is None:
        needed = plugins.missing("classifiers", answering.head, answering.plugin)
        raise CheckpointError(f"{folder} holds a model that cannot be asked here: {needed}")
    return load_method(folder, device, views=answering.views)


def scorer(method: Method, head: str) -> Head:
    """The function that scores embedded episodes: `method`'s own, or the classifier `head`."""
    if head == OWN:
        return own_scorer(method)
    if head == SIMPLE_SHOT:
        return functools.partial(simple_shot_head, centre=method.centre.cpu())
    found = plugin_classifier(head)
    return functools.partial(_checked_scores, *found) if found else HEADS[head]


def _checked_scores(
    plugin: plugins.Plugin, head: Head, support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, n_way: int
) -> torch.Tensor:
    """The scores of a plug-in's classifier. Raises ParamsError if their shape is not (E, Q, n_way)."""
    scores, wanted = head(support, labels, query, n_way), (*query.shape[:2], n_way)
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != wanted:
        found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise ParamsError(f"the {plugin} returned {found}; needs scores of shape {wanted}: (episodes, queries, n_way)")
    return scores


def save_answering(answering: Answering, folder: Path, weights: str | None = None) -> None:
    """Write `answering` into `folder`, with the hash of the weights that were evaluated if they lie elsewhere."""
    found = {**asdict(answering), "transductive": answering.transductive}
    text = json.dumps({**found, OF_WEIGHTS: weights} if weights else found, indent=2)
    (folder / ANSWERING).write_text(text + "\n", encoding="utf-8")


def load_answering(folder: Path) -> Answering:
    """Load the inference settings from `folder`; the nearest prototype if there are none, as in older models."""
    path = folder / ANSWERING
    if not path.exists():
        return Answering("metric", "prototype", "eval")
    found = json.loads(path.read_text(encoding="utf-8"))
    thresholds = {int(shots): distance for shots, distance in found.get("thresholds", {}).items()}
    method, views = found.get("method", "metric"), found.get("views", 1)
    plugin, together = found.get("plugin"), found.get("together", False)
    temperatures = tuple(Temperature(**one) for one in found.get("temperatures", ()))
    return Answering(method, found["head"], found["batch_norm"], thresholds, views, plugin, together, temperatures)


def evaluates(folder: Path, model: Path) -> bool:
    """Whether the settings in `folder` are there and of the weights in `model`, as far as they say of which."""
    path = folder / ANSWERING
    if not path.is_file():
        return False
    weights = json.loads(path.read_text(encoding="utf-8")).get(OF_WEIGHTS)
    return weights is None or weights == weights_hash(model)
