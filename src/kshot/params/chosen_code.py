"""Which names of params.yaml choose code, read from the file as it stands: also from one that does not fit yet."""

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
    """Kind, as in `kshot.plugins.KINDS`, to the name that a params.yaml chooses; what it does not say is left out.

    The loss counts with the method metric alone, which is the one that is trained by it. Raises ParamsError for a
    setting that is there by two names.
    """
    params = migrate(mapping)
    found = {kind: at(params, key) for kind, key in CHOSEN_BY.items()}
    if found["methods"] != "metric":
        del found["losses"]
    return {kind: name for kind, name in found.items() if isinstance(name, str)}
