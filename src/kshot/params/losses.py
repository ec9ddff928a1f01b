"""The table of losses: the names that `train.loss.name` accepts, and the settings of each.

No other code can be chosen by name. The table is plain data, so that settings are checked without importing torch; the
functions are in `kshot.losses.objective`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from kshot import plugins
from kshot.params.plugin_losses import chosen_arguments
from kshot.params.pml_losses import PML_LOSSES
from kshot.params.reader import need

PAIRS = ("all_pairs", "random_pairs", "hard_pairs", "semi_hard_pairs")
LISTED_TRIPLETS = ("batch_hard", "easy_positive", "semi_hard_nearest", "random_triplets", "distance_weighted")
TRIPLETS = ("batch_all", "batch_all_nonzero", "semi_hard", *LISTED_TRIPLETS)
FARTHEST = {"euclidean": 2.0, "squared_euclidean": 4.0, "cosine": 2.0}  # largest distance of two unit vectors


@dataclass(frozen=True)
class LossOptions:
    """The settings that a loss takes.

    minings: the allowed minings, of which one must be set, or none. distances: the first is the default.
    """

    minings: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()
    margin: bool = False
    temperature: bool = False


EUCLIDEAN = ("euclidean", "squared_euclidean", "cosine")
SQUARED = ("squared_euclidean", "euclidean", "cosine")
LOSSES: dict[str, LossOptions] = {
    "prototypical": LossOptions(distances=("squared_euclidean",)),
    "contrastive": LossOptions(PAIRS, ("euclidean", "cosine"), margin=True),
    "triplet": LossOptions(TRIPLETS, SQUARED, margin=True),
    "soft_margin_triplet": LossOptions(LISTED_TRIPLETS, SQUARED),
    "n_pair": LossOptions(),
    "lifted_structure": LossOptions((), EUCLIDEAN, margin=True),
    "generalized_lifted_structure": LossOptions((), EUCLIDEAN, margin=True),
    "nt_xent": LossOptions((), ("cosine",), temperature=True),
    "supervised_contrastive": LossOptions((), ("cosine",), temperature=True),
    "smooth_ap": LossOptions((), ("cosine",), temperature=True),
    **{name: LossOptions() for name in PML_LOSSES},
}


def check_choice(
    loss: str,
    *,
    mining: str | None,
    distance: str | None,
    margin: float | None,
    temperature: float | None,
    arguments: Mapping[str, float],
    l2_normalize: bool,
) -> None:
    """Raise ParamsError unless `loss` takes these settings and each is in its range."""
    plugin = plugins.find("losses", loss, LOSSES)
    if plugin is None:
        known = (*LOSSES, *plugins.names("losses"))
        near = "".join(f"; did you mean {name}?" for name in difflib.get_close_matches(loss, known, n=1))
        need(loss in LOSSES, f"train.loss.name is {loss!r}; needs one of {', '.join(known)}{near}")
    options = LossOptions() if plugin else LOSSES[loss]
    _number("margin", margin, options.margin, loss, "needs 0 or more", "0.5", lowest=0.0)
    _number("temperature", temperature, options.temperature, loss, "needs 0.001 to 100", "0.1", 0.001, 100.0)
    _one_of("mining", mining, options.minings, loss)
    if distance is not None:
        need(bool(options.distances), f"train.loss.distance is {distance}; the {loss} loss takes none: set null")
        need(
            distance in options.distances,
            f"train.loss.distance is {distance!r}; the {loss} loss takes {', '.join(options.distances)}, "
            f"or null for {options.distances[0] if options.distances else 'its own'}",
        )
    used = distance or next(iter(options.distances), None)
    if margin is not None and used is not None and (l2_normalize or used == "cosine"):
        need(
            margin <= FARTHEST[used],
            f"train.loss.margin is {margin:g}; two unit vectors are at most {FARTHEST[used]:g} apart "
            f"({used} distance), so nothing would ever clear it: lower it",
        )
    if mining == "distance_weighted":
        need(
            l2_normalize and used == "euclidean",
            "train.loss.mining is distance_weighted, which knows distances on the unit sphere: "
            "set train.projection.l2_normalize: true and train.loss.distance: euclidean",
        )
    if plugin:
        chosen_arguments(plugin, plugins.load(plugin), arguments)
    elif loss in PML_LOSSES:
        wrong = PML_LOSSES[loss].check(loss, arguments)
        need(not wrong, f"train.loss.arguments: {wrong}")
    else:
        need(not arguments, f"train.loss.arguments is {dict(arguments)}; the {loss} loss takes none: set {{}}")


def _one_of(key: str, value: str | None, known: tuple[str, ...], loss: str) -> None:
    if not known:
        need(value is None, f"train.loss.{key} is {value}; the {loss} loss takes none: set null")
        return
    found = "null" if value is None else repr(value)
    need(value in known, f"train.loss.{key} is {found}; the {loss} loss needs one of {', '.join(known)}")


def _number(
    key: str,
    value: float | None,
    taken: bool,
    loss: str,
    wanted: str,
    example: str,
    lowest: float,
    highest: float = float("inf"),
) -> None:
    if not taken:
        need(value is None, f"train.loss.{key} is {value}; the {loss} loss has none: set null")
        return
    need(value is not None, f"train.loss.{key} is null; the {loss} loss needs one, such as {example}")
    assert value is not None
    need(lowest <= value <= highest, f"train.loss.{key} is {value}; {wanted}, such as {example}")
