"""Rules for settings that depend on the kind of images: preparation, network and which part of it is trained."""

from collections.abc import Sequence

from kshot.lifecycle.settings_fit.data_profile import DataProfile
from kshot.lifecycle.settings_fit.fitted_settings import Setting, Start
from kshot.lifecycle.settings_fit.packaged_weights import BACKBONE, PIXELS

PROJECTION_CLASSES = 5  # fewest training classes for training a projection; with fewer, the backbone is used alone
DRAWING_PIXELS, SCRATCH_PIXELS = 28, 84
# More than the packaged network was trained with: objects look smaller in a whole image than in the random crops of its
# training (Touvron et al. 2019, arXiv:1906.06423). On the validation classes of groceries, 10w1s: 79.9 % at 224 pixels,
# 81.6 % at 288 (2026-11-29).
FINE_PIXELS = 288
# Chosen on the validation classes of groceries, 5w1s: 87.8 % with 28 training classes, 78.8 % with 5; the frozen
# network alone has 77.5 %; 256 dimensions at a rate of 0.001 have 85.9 % and 69.7 % (2026-11-28).
PROJECTION, PROJECTION_RATE, SCRATCH_RATE = 1024, 0.0001, 0.001
# LoRA is 0.7 points better than the projection at 5w1s and 1.7 at 10w1s on the test classes of groceries, and takes
# 212 s instead of 5 s on 2 cores: 200 steps of 40 random crops of 224 pixels (2026-11-30). Not measured on a GPU.
LORA_RATE = 0.001
# Principal components of the projection: a quarter of the numbers of a stored image. On the validation classes of
# groceries, 3 seeds: 5w1s 90.30 % with them and 90.33 % without, 5w5s 97.14 and 97.29 %, 10w1s 84.21 and 84.26 %; a
# projection trained to 256 numbers has 83.56 % at 10w1s (2026-11-30).
COMPONENTS = 256
# What a projection of the packaged network starts from. On the validation classes of groceries, 10w1s: 84.3 % instead
# of 82.2 % with the output alone and 28 training classes, 73.2 % instead of 72.2 % with 5; without a projection the
# output alone is better, 69.8 % instead of 66.6 %. Emoji with 815 training classes, 20w1s: 84.2 % instead of 77.8 %
# (2026-11-30).
PROJECTED = ["blocks.4", "blocks.6", "output"]
LEAST_INPUT = 96  # pixels of a pretrained network's input
EMBED_BATCH = 32  # of 224 x 224 pixels: a quarter of the memory that 128 need
PIXEL_BYTES = 10e9  # of all images together; above this they are stored as JPEG
PACKED_BYTES = 60e9  # of all images as JPEG; above this they are packed at a smaller size
JPEG_BYTES = 0.64  # a pixel of a photograph of 224 pixels: docs/data.md
DRAWING_AUGMENT = {"degrees": 10.0, "translate": 0.05, "scale": 0.1, "shear": 10.0}
NO_AUGMENT = dict.fromkeys(DRAWING_AUGMENT, 0.0)
PHOTOGRAPH_AUGMENT = {"preset": "photographs"}


def ingest_settings(profile: DataProfile, start: Start | None) -> list[Setting]:
    """Settings of image preparation for a network with these weights; None: random weights."""
    traits = profile.traits
    colour = traits.colour > 0.05
    channels = Setting("ingest.channels", 3 if colour else 1, f"{percent(traits.colour)} of the images have colour")
    if traits.are_drawings:
        small = traits.extent < 0.7
        why = f"a drawing fills {percent(traits.extent)} of its image's length"
        back = f"{percent(traits.light)} of the backgrounds are light; a network sees light on dark"
        return [
            Setting("ingest.size", DRAWING_PIXELS, "pixels; drawings on a plain background need no more"),
            channels,
            Setting("ingest.invert", traits.light > 0.5, back),
            Setting("ingest.crop", "ink" if small else "none", why),
            Setting("ingest.fit", "squash"),
            Setting("ingest.store", "pixels"),
        ]
    size, why = _packed_size(profile, start)
    return [
        Setting("ingest.size", size, why),
        channels,
        Setting("ingest.invert", False, "photographs stay as they are"),
        Setting("ingest.crop", "none", "photographs have no plain background to cut away"),
        Setting("ingest.fit", "crop", "the centre square; proportions stay as they are"),
        *_store(profile, size),
    ]


def _packed_size(profile: DataProfile, start: Start | None) -> tuple[int, str]:
    """The side of the packed squares in pixels, and the reason."""
    side, least = profile.traits.short_side, PIXELS if start else SCRATCH_PIXELS
    if side < least:
        return max(16, side), f"pixels; the images have {side} on their shorter side"
    fine = start is not None and start.backbone == BACKBONE
    wanted = min(FINE_PIXELS, side) if fine else least
    size = wanted
    while size > 64 and profile.images * size * size * JPEG_BYTES > PACKED_BYTES:
        size -= 32
    if size < wanted:
        return size, f"pixels; {profile.images:,} images take {profile.images * size * size * JPEG_BYTES / 1e9:.0f} GB"
    if fine:
        return size, f"pixels; whole images need more than the {PIXELS} of the crops that this network is trained with"
    if start is None:
        return size, "pixels; enough for a small net"
    return size, "pixels, as most published weights were trained with; the network scales them to its own input"


def _input_size(profile: DataProfile, start: Start) -> Setting:
    """The side of the network's input; None: the size that its weights were trained with."""
    side, (packed, _) = profile.traits.short_side, _packed_size(profile, start)
    if start.backbone != BACKBONE:
        return Setting("train.network.input_size", None)  # of the many networks, few take every size
    if side < PIXELS:
        larger = "; images are enlarged to it" if side < LEAST_INPUT else ""
        return Setting("train.network.input_size", max(LEAST_INPUT, side), f"pixels that the network gets{larger}")
    if packed > PIXELS:
        return Setting("train.network.input_size", packed, "pixels that the network gets")
    return Setting("train.network.input_size", None)


def _features(start: Start, learns: bool) -> Setting:
    """The stages of the network whose mean maps are the features."""
    if learns and start.backbone == BACKBONE:
        return Setting("train.network.features", PROJECTED, "two inner stages and the output; details and objects")
    return Setting("train.network.features", [])


def _components(count: int | None) -> Setting:
    """The principal components that an embedding is reduced to after training."""
    why = "principal components of these; as accurate, in a quarter of the memory"
    return Setting("train.projection.reduce", {"dim": count, "whiten": False}, why if count else "")


def _store(profile: DataProfile, size: int) -> list[Setting]:
    """How the packed images are stored."""
    needed = profile.images * size * size * 3
    if needed <= PIXEL_BYTES:
        return [Setting("ingest.store", "pixels")]
    return [Setting("ingest.store", "jpeg", f"as pixels, {profile.images:,} images take {needed / 1e9:.0f} GB")]


def pretrained_settings(profile: DataProfile, start: Start, counts: Sequence[int]) -> list[Setting]:
    """A frozen backbone, followed by a trained projection if there are enough classes.

    counts: the number of images of each training class.
    """
    classes = len(counts)
    learns = classes >= PROJECTION_CLASSES
    if learns and start.gpu:
        adaptation, why = "lora", f"{classes} classes and a GPU: the backbone is adapted too"
    elif learns:
        adaptation = "projection"
        why = f"a projection is learned from {classes} classes; the backbone stays, its features are taken once"
    else:
        adaptation, why = "frozen", f"{classes} classes are too few to learn from; the backbone stays as it is"
    projects = adaptation == "projection"
    reduces = projects and sum(counts) >= 2 * COMPONENTS  # components are axes between images of training
    ours = start.backbone == BACKBONE
    known = "photographs: its weights were trained on ImageNet's 1.3 million" if ours else "the network that you named"
    width = (PROJECTION, "numbers an image, in training") if projects else (None, "")
    return [
        Setting("train.network.backbone", start.backbone, known),
        Setting("train.network.pretrained", start.pretrained),
        Setting("train.network.checkpoint", start.checkpoint),
        Setting("train.network.pickle", None),
        _features(start, learns),
        Setting("train.network.input_size", None) if adaptation == "lora" else _input_size(profile, start),
        Setting("train.network.adaptation", adaptation, why),
        Setting("train.projection.dim", *width),
        Setting("train.projection.hidden", None),
        Setting("train.projection.l2_normalize", False),
        _components(COMPONENTS if reduces else None),
        Setting("train.method.name", "prototypical", "nearest class mean by cosine, which suits a pretrained network"),
        Setting("train.method.arguments", {"distance": "cosine", "learn_temperature": learns}),
        Setting("train.loss.name", "prototypical"),
        Setting("train.optimizer.layer_decay", 1.0),
        Setting("train.optimizer.learning_rate", LORA_RATE if adaptation == "lora" else PROJECTION_RATE),
        Setting("embed.batch_size", EMBED_BATCH),
        Setting("train.augment", PHOTOGRAPH_AUGMENT if adaptation == "lora" else NO_AUGMENT),
    ]


def scratch_settings(drawings: bool) -> list[Setting]:
    """A small network with random weights."""
    why = "drawings: a small network learns them from nothing" if drawings else "trained from nothing, as you chose"
    return [
        Setting("train.network.backbone", "conv4", why),
        Setting("train.network.pretrained", False),
        Setting("train.network.checkpoint", None),
        Setting("train.network.pickle", None),
        Setting("train.network.features", []),
        Setting("train.network.input_size", None),
        Setting("train.network.adaptation", "full"),
        Setting("train.projection.dim", None),
        Setting("train.projection.hidden", None),
        Setting("train.projection.l2_normalize", False),
        _components(None),
        Setting("train.method.name", "metric"),
        Setting("train.method.arguments", {}),
        Setting("train.loss.name", "prototypical"),
        Setting("train.optimizer.layer_decay", 1.0),
        Setting("train.optimizer.learning_rate", SCRATCH_RATE),
        Setting("embed.batch_size", EMBED_BATCH),
        Setting("train.augment", DRAWING_AUGMENT, "degrees and shares of the side; small changes keep the class")
        if drawings
        else Setting("train.augment", PHOTOGRAPH_AUGMENT, "random crops, mirror images, colours, erased rectangles"),
    ]


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
