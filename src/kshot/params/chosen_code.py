"""Which names of params.yaml choose code, read from the file as it stands: also from one that does not fit yet."""

from collections.abc import Mapping
from typing import Any


def chosen_names(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Kind, as in `kshot.plugins.KINDS`, to the name that a params.yaml chooses; what it does not say is left out.

    The loss counts with the method metric alone, which is the one that is trained by it.
    """
    train = mapping.get("train")
    evaluate = mapping.get("evaluate")
    train, evaluate = (one if isinstance(one, Mapping) else {} for one in (train, evaluate))
    found = {"backbones": train.get("backbone"), "methods": train.get("method"), "classifiers": evaluate.get("head")}
    if train.get("method") == "metric":
        found["losses"] = train.get("loss")
    return {kind: name for kind, name in found.items() if isinstance(name, str)}
