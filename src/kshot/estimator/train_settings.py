"""The settings of `kshot.train`: the shipped defaults, the caller's changes, and adjustments for small data.

The defaults are in one place, `kshot/template/params.yaml`, the file that a new project starts with.
"""

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kshot import plugins
from kshot.errors import ParamsError
from kshot.params.losses import LOSSES
from kshot.params.reader import read_mapping
from kshot.params.renamed import OLD_OF
from kshot.params.schema import Params, params_from

SHIPPED = Path(__file__).parents[1] / "template" / "params.yaml"
SECTIONS = ("ingest", "train")  # whose settings a caller may set, each by one word; no word is in both

# Settings that a loss needs and that are null in params.yaml, which names another loss. The contrastive, triplet and
# lifted structure rows are the best of docs/losses.md (Conv-4 on Omniglot); smooth_ap's is from its paper, the others
# were not tuned. Margins are for embeddings that are not normalised.
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
    """The settings of a new project."""
    return params_from(read_mapping(SHIPPED))


def train_settings(changes: Mapping[str, Any], n_classes: int, smallest: int) -> Params:
    """The shipped settings with `changes`, for `n_classes` training classes, the smallest with `smallest` images.

    changes: words of `places`; a mapping, such as augment, changes the keys that it names. Unless they are in
    `changes`, settings that the loss needs are added, and batches are made small enough for the data. Raises
    ParamsError for an unknown word or loss, and for values that do not fit.
    """
    content = read_mapping(SHIPPED)
    where = places(content)
    for key in changes:
        if key not in where:
            near = difflib.get_close_matches(key, where, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(where)}"
            raise ParamsError(f"unknown setting {key}; {hint}")
    method, loss = changes.get("method", "metric"), changes.get("loss")
    if method != "metric" and loss is not None:
        raise ParamsError(
            f"loss is {loss} with method {method}; only the method metric is trained by a loss: leave one out"
        )
    known = (*LOSSES, *plugins.names("losses"))
    if loss is not None and loss not in known:
        hint = "".join(f"; did you mean {name}?" for name in difflib.get_close_matches(str(loss), known, n=1))
        raise ParamsError(f"loss is {loss!r}; needs one of {', '.join(known)}{hint}")
    batch = content["train"]["batch"]
    fitted = {"classes_per_batch": min(batch["classes"], n_classes), "images_per_class": min(batch["images"], smallest)}
    classes = changes.get("classes_per_batch", fitted["classes_per_batch"])
    if isinstance(classes, int):
        fitted["mine_neighbours"] = min(batch["mine_neighbours"], classes - 1)
    for word, value in {**fitted, **LOSS_NEEDS.get(loss or "", {}), **changes}.items():
        *sections, key = where[word]
        section = content
        for name in sections:
            section = section[name]
        section[key] = (
            {**section[key], **value} if isinstance(section[key], dict) and isinstance(value, dict) else value
        )
    if method == "mann":  # it has as many labels as a training episode has classes
        labels = content["train"]["method"]["n_way"] or batch["classes"]
        for protocol in content["episodes"]["protocols"].values():
            protocol["n_way"] = min(protocol["n_way"], labels)
    try:
        return params_from(content)
    except ParamsError as error:
        raise ParamsError(str(error).removeprefix("params.yaml: ")) from None


def places(content: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The keys of each setting of SECTIONS by the word that a caller uses: "margin" is train.loss.margin.

    The words are the names that params.yaml had when section train was flat; a section without one is a setting.
    """
    renamed = {old.rpartition(".")[2]: tuple(new.split(".")) for new, old in OLD_OF.items() if old.startswith("train.")}
    nested = {keys[1] for keys in renamed.values()}
    flat = {key: (name, key) for name in SECTIONS for key in content[name] if not (name == "train" and key in nested)}
    return flat | renamed
