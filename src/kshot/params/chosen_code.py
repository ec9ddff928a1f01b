"""Reads the names in params.yaml that choose code, also from a file that is not valid yet."""

from collections.abc import Mapping
from typing import Any

from kshot.params.renamed import at, migrate

CHOSEN_BY = {
    "backbones": "train.network.backbone",
    "methods": "train.method.name",
    "losses": "train.loss.name",
    "classifiers": "evaluate.classifier",
}


def chosen_names(mapping: Mapping[str, Any]) -> dict[str, str]:
    """The name that a params.yaml chooses for each kind of `kshot.plugins.KINDS`; kinds without a name are absent.

    The loss counts only with the method metric, which alone is trained with it. Raises ParamsError for a setting that
    is present under two names.
    """
    params = migrate(mapping)
    found = {kind: at(params, key) for kind, key in CHOSEN_BY.items()}
    if found["methods"] != "metric":
        del found["losses"]
    return {kind: name for kind, name in found.items() if isinstance(name, str)}
