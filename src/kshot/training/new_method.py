"""Creates the method that the settings describe, over an embedding that records how it is trained."""

from collections.abc import Collection
from typing import NamedTuple

from kshot import plugins
from kshot.methods.method import Method
from kshot.methods.table import build_method, describe
from kshot.nets.adaptation import adapt
from kshot.nets.embedding import Embedding
from kshot.params.sections.train import Train


class NewMethod(NamedTuple):
    """A method to train; `learning` describes the trainable part of the backbone."""

    method: Method
    learning: str


def new_method(embedding: Embedding, train: Train, trained_on: Collection[str]) -> NewMethod:
    """Create the method of `train` over `embedding`, and record method, loss and training classes in its settings.

    Raises ParamsError for a backbone that cannot be adapted as `train.network.adaptation` says.
    """
    learning = adapt(
        embedding, train.network, train.lora, gradient_checkpointing=train.optimizer.gradient_checkpointing
    )
    described = describe(train.method, train.batch.class_count)
    method = build_method(described, embedding)
    plugin = plugins.find("methods", train.method.name)
    embedding.describe(
        method=described,
        loss=train.loss.name if train.method.name == "metric" else None,
        trained_on=tuple(sorted(set(trained_on))),
        batch_norm=method.batch_norm,
        plugins={**embedding.settings.plugins, **({"methods": plugin.given_by} if plugin else {})},
    )
    return NewMethod(method, learning)
