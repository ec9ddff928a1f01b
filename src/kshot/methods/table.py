"""The methods by name: built from params.yaml for training, or from a saved model's description for prediction."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from kshot import plugins
from kshot.methods.maml import InnerLoop, Maml
from kshot.methods.mann import Mann
from kshot.methods.matching import Matching
from kshot.methods.method import Method
from kshot.methods.metric import Metric
from kshot.methods.prototypical import Prototypical
from kshot.methods.relation import Relation
from kshot.methods.reptile import Reptile
from kshot.methods.siamese import Siamese
from kshot.methods.transfer import Transfer
from kshot.nets.embedding import Embedding
from kshot.params.methods import arguments_of
from kshot.params.sections.train_sections import MethodChoice


def describe(chosen: MethodChoice, classes: int) -> dict[str, Any]:
    """Description of a method saved with a model: {"name", "n_way", "k_shot", "arguments"}, enough to rebuild it.

    `classes`: how many a batch has.
    """
    arguments = arguments_of(chosen.name, chosen.arguments)
    return {
        "name": chosen.name,
        "n_way": chosen.n_way or classes,
        "k_shot": chosen.k_shot,
        "arguments": arguments,
    }


def build_method(described: Mapping[str, Any], embedding: Embedding) -> Method:
    """Build a method over `embedding` from its description; `Method.prepare` adds the parts that training needs."""
    name = described["name"]
    plugin = plugins.find("methods", name, METHODS)
    make = plugins.load(plugin) if plugin else METHODS[name]
    method: Method = make(embedding, described["n_way"], described["k_shot"], **described["arguments"])
    return method


def training_parameters(method: Method) -> list[nn.Parameter]:
    """The parameters that are used only in training, such as proxies and a classifier."""
    named = method.named_parameters()
    return [value for name, value in named if name.split(".")[0] in method.training_only and value.requires_grad]


def _adapting(method: type[Maml], **fixed: Any) -> Callable[..., Method]:
    def make(embedding: Embedding, n_way: int, k_shot: int, **arguments: Any) -> Method:
        return method(embedding, n_way, k_shot, InnerLoop(**fixed, **arguments))

    return make


METHODS: dict[str, Callable[..., Method]] = {
    "metric": Metric,
    "prototypical": Prototypical,
    "matching": Matching,
    "siamese": Siamese,
    "relation": Relation,
    "maml": _adapting(Maml),
    "anil": _adapting(Maml, body=False),
    "reptile": _adapting(Reptile),
    "mann": Mann,
    "transfer": Transfer,
}
