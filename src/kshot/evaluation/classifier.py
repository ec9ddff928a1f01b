"""How a model answers an episode, kept beside it: every figure of it says so, and it is served as it was measured."""

import functools
import json
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
from kshot.methods.saving import load_method
from kshot.params.classifiers import plugin_classifier
from kshot.params.methods import takes_of

ANSWERING = "answering.json"


@dataclass(frozen=True)
class Answering:
    """method, that the model was trained by; head, one of `kshot.classifiers`, or "method" for the method's own answer;
    batch_norm, whose statistics it takes: "eval" are those of training and "support" those of the episode's support, so
    that no query helps another, "transductive" those of all queries; thresholds, by support images a class: the
    Euclidean distance to the nearest class mean beyond which a query is unknown, none where none was set; views, of
    `kshot.nets.shifted_views`, over which each point is the mean; plugin, what gives a head that is none of kshot's, as
    `Plugin.given_by`, and None for kshot's; together, whether that one sees all queries of an episode at once."""

    method: str
    head: str
    batch_norm: str
    thresholds: dict[int, float] = field(default_factory=dict)
    views: int = 1
    plugin: str | None = None
    together: bool = False

    @property
    def transductive(self) -> bool:
        """Whether a query's answer depends on the other queries of its episode."""
        return self.head in TRANSDUCTIVE or self.together or self.batch_norm == "transductive"

    @property
    def by(self) -> str:
        """In words: "prototype", "prototype, 5 views" or "maml, transductive"."""
        name = self.method if self.head == OWN else self.head
        name = f"{name}, {self.views} views" if self.views > 1 else name
        return f"{name}, transductive" if self.transductive else name

    def threshold(self, k_shot: float) -> float | None:
        """The threshold that was set with the number of shots nearest to `k_shot`."""
        nearest = min(self.thresholds, key=lambda shots: (abs(shots - k_shot), shots), default=None)
        return None if nearest is None else self.thresholds[nearest]


def answering_of(method: str, head: str, batch_norm: str, views: int = 1) -> Answering:
    """How a model of `method` answers when `evaluate.classifier` is `head`.

    Methods without an answer of their own take the nearest prototype.
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
    """The method saved in `folder`, whose points are as `answering` says. Raises CheckpointError."""
    if answering.plugin is not None and plugins.find("classifiers", answering.head) is None:
        needed = plugins.missing("classifiers", answering.head, answering.plugin)
        raise CheckpointError(f"{folder} holds a model that cannot be asked here: {needed}")
    return load_method(folder, device, views=answering.views)


def scorer(method: Method, head: str) -> Head:
    """The function that answers embedded episodes: `method`'s own scores, or `head` on its embedding."""
    if head == OWN:
        return own_scorer(method)
    if head == SIMPLE_SHOT:
        return functools.partial(simple_shot_head, centre=method.centre.cpu())
    found = plugin_classifier(head)
    return functools.partial(_checked_scores, *found) if found else HEADS[head]


def _checked_scores(
    plugin: plugins.Plugin, head: Head, support: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, n_way: int
) -> torch.Tensor:
    """The scores of a plug-in's classifier. Raises ParamsError where they are not (E, Q, n_way)."""
    scores, wanted = head(support, labels, query, n_way), (*query.shape[:2], n_way)
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != wanted:
        found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
        raise ParamsError(f"the {plugin} returned {found}; needs scores of shape {wanted}: (episodes, queries, n_way)")
    return scores


def save_answering(answering: Answering, folder: Path) -> None:
    """Write `answering` into `folder`."""
    text = json.dumps({**asdict(answering), "transductive": answering.transductive}, indent=2)
    (folder / ANSWERING).write_text(text + "\n", encoding="utf-8")


def load_answering(folder: Path) -> Answering:
    """What is written in `folder`; the nearest prototype where nothing is, as in models that are older than heads."""
    path = folder / ANSWERING
    if not path.exists():
        return Answering("metric", "prototype", "eval")
    found = json.loads(path.read_text(encoding="utf-8"))
    thresholds = {int(shots): distance for shots, distance in found.get("thresholds", {}).items()}
    method, views = found.get("method", "metric"), found.get("views", 1)
    plugin, together = found.get("plugin"), found.get("together", False)
    return Answering(method, found["head"], found["batch_norm"], thresholds, views, plugin, together)
