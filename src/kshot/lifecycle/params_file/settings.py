"""Changes params.yaml from the command line: checks the result as a whole, then writes it with its comments."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kshot import plugins
from kshot.errors import CheckpointError
from kshot.lifecycle.params_file.settings_change import Change, differences
from kshot.lifecycle.params_file.yaml_document import fit, merge, put, read_with_comments, set_from_text, text_of
from kshot.lifecycle.project.files import file_md5
from kshot.load_yaml import load_yaml
from kshot.params import reader, renamed, schema
from kshot.params.backbones import LEAST_SIDE, NETWORKS
from kshot.params.schema import Params

PARAMS = "params.yaml"
BACKBONE, FEATURES = "train.network.backbone", "train.network.features"
DETERMINE_BACKBONE = {BACKBONE, FEATURES, "train.network.input_size", "ingest.size", "ingest.channels"}
CHECKPOINT, WEIGHTS = "train.network.checkpoint", "train.network.checkpoint_md5"


def plan(
    root: Path,
    *,
    overlay: Path | None = None,
    values: Mapping[str, Any] | None = None,
    sets: Sequence[str] = (),
) -> tuple[str, list[Change]]:
    """Return the new text of params.yaml and its changes, without writing it.

    Applied in this order:

    overlay  a YAML file with some sections and keys of params.yaml: sections are merged; values, empty mappings and
             the mappings in WHOLE replace
    values   dotted keys with their values; a key that has its value already keeps its notation
    sets     texts like `train.steps=500`, each value read as YAML; one that names a mapping replaces the mapping

    WEIGHTS is computed from the file. Settings may have their old names: changes have the current ones, and the file
    keeps its own. Raises ParamsError unless the result as a whole is valid.
    """
    plugins.use_project(root)
    path = root / PARAMS
    document, old = read_with_comments(path), reader.read_mapping(path)
    if overlay is not None:
        merge(document, reader.read_mapping(overlay))
    for dotted, value in (values or {}).items():
        fit(document, dotted, value)
    for text in sets:
        set_from_text(document, text)
    _note_weights(root, document, old)
    written = text_of(document)
    new = load_yaml(written)  # what a stage will read, not what we meant to write
    params = schema.params_from(new)
    changes = [Change(key, *values) for key, values in differences(old, renamed.migrate(new))]
    if any(change.key in DETERMINE_BACKBONE for change in changes):
        _require_backbone(params)
    return written, changes


def _require_backbone(params: Params) -> None:
    """Raise ParamsError for a backbone that nobody has, for stages that it lacks, and for images too small for it."""
    network, ingest = params.train.network, params.ingest
    if network.backbone in NETWORKS and not network.features and (network.input_size or ingest.size) >= LEAST_SIDE:
        return  # without importing torch, which takes a second
    from kshot.nets.new_embedding import require_backbone

    require_backbone(params)


def require_checkpoint(root: Path, params: Params, changes: Sequence[Change]) -> None:
    """Raise CheckpointError if train.network.checkpoint is among the `changes` and is no file."""
    name = params.train.network.checkpoint
    if name and any(change.key == CHECKPOINT for change in changes) and not (root / name).is_file():
        raise CheckpointError(f"{CHECKPOINT} is {name}, which is no file; needs the path of weights, or null")


def weights_change(root: Path, params: Mapping[str, Any]) -> Change | None:
    """The change of WEIGHTS needed for the file that train.network.checkpoint names; None if it is up to date.

    `params` is the mapping in params.yaml, with current names. A missing file changes nothing: the stage that needs it
    reports it.
    """
    if not renamed.is_there(params, WEIGHTS):
        return None
    name, before = renamed.at(params, CHECKPOINT), renamed.at(params, WEIGHTS)
    if isinstance(name, str) and not (root / name).is_file():
        return None
    after = file_md5(root / name) if isinstance(name, str) else None
    return None if after == before else Change(WEIGHTS, before, after)


def _note_weights(root: Path, document: Any, old: Mapping[str, Any]) -> None:
    """Update WEIGHTS for the file; an invalid section is reported by the check of the whole."""
    now = renamed.migrate(document)
    if not renamed.is_there(now, WEIGHTS) or not renamed.is_there(old, CHECKPOINT):
        return
    if renamed.at(now, CHECKPOINT) != renamed.at(old, CHECKPOINT):
        put(document, WEIGHTS, None)  # the md5 of the previous file
    if change := weights_change(root, renamed.migrate(document)):
        put(document, WEIGHTS, change.after)


def write(root: Path, text: str) -> None:
    """Replace params.yaml by `text` atomically."""
    path = (root / PARAMS).resolve()
    descriptor, sibling = tempfile.mkstemp(dir=path.parent, prefix=".params-", suffix=".yaml")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(sibling).chmod(path.stat().st_mode & 0o777)
        Path(sibling).replace(path)
    except BaseException:
        Path(sibling).unlink(missing_ok=True)
        raise
