"""The method that the settings describe, over an embedding that records how it is trained."""

from collections.abc import Collection
from typing import NamedTuple

from kshot import plugins
from kshot.methods.method import Method
from kshot.methods.table import build_method, describe
from kshot.nets.adaptation import adapt
from kshot.nets.embedding import Embedding
from kshot.params.train import Train


class NewMethod(NamedTuple):
    """`learning`: in words, which part of the backbone learns."""

    method: Method
    learning: str


def new_method(embedding: Embedding, train: Train, trained_on: Collection[str]) -> NewMethod:
    """The method of `train` over `embedding`, whose settings then name method, loss and the classes of the training.

    Raises ParamsError for a backbone that cannot learn as `train.network.adaptation` says.
    """
    learning = adapt(
        embedding, train.network, train.lora, gradient_checkpointing=train.optimizer.gradient_checkpointing
    )
    embedding.settings |= {
        "method": describe(train.method, train.batch.classes),
        "loss": train.loss.name if train.method.name == "metric" else None,
        "trained_on": sorted(set(trained_on)),
    }
    method = build_method(embedding.settings["method"], embedding)
    embedding.settings["batch_norm"] = method.batch_norm
    if plugin := plugins.find("methods", train.method.name):
        embedding.settings.setdefault("plugins", {})["methods"] = plugin.given_by
    return NewMethod(method, learning)
