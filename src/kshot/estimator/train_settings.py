"""The settings of `kshot.train`: those that are shipped, the changes that a caller makes, and what small data needs.

The defaults live in one place, `kshot/template/params.yaml`: the file that a new project starts with.
"""

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError
from kshot.params.losses import LOSSES
from kshot.params.reader import read_mapping
from kshot.params.schema import Params, params_from

SHIPPED = Path(__file__).parents[1] / "template" / "params.yaml"
SECTIONS = ("ingest", "train")  # whose keys a caller may set; no key is in both

# What a loss needs beside its name, and params.yaml, which names another loss, leaves null. The contrastive, triplet
# and lifted structure rows are the best of docs/losses.md (Conv-4 on Omniglot); smooth_ap's is its paper's, the others
# were not tuned. Margins are of embeddings that are not normalised.
LOSS_NEEDS: dict[str, dict[str, Any]] = {
    "contrastive": {"mining": "hard_pairs", "margin": 10.0},
    "triplet": {"mining": "semi_hard_nearest", "margin": 20.0},
    "soft_margin_triplet": {"mining": "semi_hard_nearest"},
    "lifted_structure": {"margin": 5.0},
    "generalized_lifted_structure": {"margin": 5.0},
    "nt_xent": {"temperature": 0.1},
    "supervised_contrastive": {"temperature": 0.1},
    "smooth_ap": {"temperature": 0.01},
}


@functools.cache
def shipped() -> Params:
    """The settings that a new project starts with."""
    return params_from(read_mapping(SHIPPED))


def train_settings(changes: Mapping[str, Any], n_classes: int, smallest: int) -> Params:
    """The shipped settings with `changes` for `n_classes` training classes, the smallest of `smallest` images.

    changes: keys of the sections ingest and train of params.yaml; a mapping, such as augment, changes the keys that it
    names. What a loss needs besides, and batches that the data can fill, follow unless they are named. Raises
    ParamsError for an unknown key or loss, and for values that do not fit.
    """
    content = read_mapping(SHIPPED)
    where = {key: section for section in SECTIONS for key in content[section]}
    for key in changes:
        if key not in where:
            near = difflib.get_close_matches(key, where, n=1)
            hint = f"did you mean {near[0]}?" if near else "known are the keys of ingest and train in params.yaml"
            raise ParamsError(f"unknown setting {key}; {hint}")
    method, loss = changes.get("method", "metric"), changes.get("loss")
    if method != "metric" and loss is not None:
        raise ParamsError(
            f"loss is {loss} with method {method}; only the method metric is trained by a loss: leave one out"
        )
    if loss is not None and loss not in LOSSES:
        hint = "".join(f"; did you mean {name}?" for name in difflib.get_close_matches(str(loss), LOSSES, n=1))
        raise ParamsError(f"loss is {loss!r}; needs one of {', '.join(LOSSES)}{hint}")
    train = content["train"]
    most = {"classes_per_batch": n_classes, "images_per_class": smallest}
    fitted = {key: min(train[key], value) for key, value in most.items()}
    batch = changes.get("classes_per_batch", fitted["classes_per_batch"])
    if isinstance(batch, int):
        fitted["mine_neighbours"] = min(train["mine_neighbours"], batch - 1)
    for key, value in {**fitted, **LOSS_NEEDS.get(loss or "", {}), **changes}.items():
        section = content[where[key]]
        section[key] = (
            {**section[key], **value} if isinstance(section[key], dict) and isinstance(value, dict) else value
        )
    if method == "mann":  # it knows as many labels as a training episode has classes
        labels = train["n_way"] or train["classes_per_batch"]
        for protocol in content["episodes"]["protocols"].values():
            protocol["n_way"] = min(protocol["n_way"], labels)
    try:
        return params_from(content)
    except ParamsError as error:
        raise ParamsError(str(error).removeprefix("params.yaml: ")) from None
