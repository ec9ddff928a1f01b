"""Changes params.yaml from the command line: checks the result as a whole, then writes it with its comments."""

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kshot import plugins
from kshot.errors import ParamsError
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.tables import facts
from kshot.params import reader, renamed, schema

PARAMS = "params.yaml"
CHECKPOINT, WEIGHTS = "train.network.checkpoint", "train.network.checkpoint_md5"
# Mappings with names that a person chooses: an overlay replaces them as a whole, or nothing could ever be removed.
WHOLE = ("episodes.protocols", "train.method.arguments", "train.loss.arguments", "gate.min_accuracy")


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting that changed; `before` is None for a key that did not exist."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {format_value(self.before)} -> {format_value(self.after)}"


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
    document, old = _read_with_comments(path), reader.read_mapping(path)
    if overlay is not None:
        _merge(document, reader.read_mapping(overlay))
    for dotted, value in (values or {}).items():
        _fit(document, dotted, value)
    for text in sets:
        _set(document, text)
    _note_weights(root, document, old)
    written = text_of(document)
    new = yaml.safe_load(written)  # what a stage will read, not what we meant to write
    schema.params_from(new)
    return written, [Change(key, *values) for key, values in differences(old, renamed.migrate(new))]


def changes_text(changes: Sequence[Change]) -> list[str]:
    """The changes as aligned lines of key and values; those of one mapping of WHOLE on one line, by name."""
    lines: dict[str, str] = {}
    for one in changes:
        whole = next((whole for whole in WHOLE if one.key.startswith(f"{whole}.")), "")
        if not whole:
            lines[one.key] = f"{format_value(one.before)} -> {format_value(one.after)}"
        elif whole not in lines:
            below = [other for other in changes if other.key.startswith(f"{whole}.")]
            lines[whole] = _names_text([dataclasses.replace(o, key=o.key.removeprefix(f"{whole}.")) for o in below])
    return facts(lines.items())


def _names_text(changes: Sequence[Change]) -> str:
    """Names that were removed, added and changed: "without 5w1s; new 2w1s"; values if they are not sections."""
    gone = [one.key for one in changes if one.after is None]
    new = [
        one.key if isinstance(one.after, Mapping) else f"{one.key} {format_value(one.after)}"
        for one in changes
        if one.before is None
    ]
    other = [
        f"{one.key} {format_value(one.before)} -> {format_value(one.after)}"
        for one in changes
        if one.before is not None and one.after is not None
    ]
    parts = (("without ", gone), ("new ", new), ("", other))
    return "; ".join(f"{how}{', '.join(names)}" for how, names in parts if names)


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
        _put(document, WEIGHTS, None)  # the md5 of the previous file
    if change := weights_change(root, renamed.migrate(document)):
        _put(document, WEIGHTS, change.after)


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


def _read_with_comments(path: Path) -> Any:
    reader.read_mapping(path)  # its error messages are readable
    return round_trip().load(path.read_text(encoding="utf-8"))


def round_trip() -> Any:
    """A reader and writer of YAML that preserves comments, and writes YAML that PyYAML can read."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Plain(RoundTripRepresenter):
        """Writes null as `null`, not as nothing, and 0.00001 as 1.0e-05: PyYAML reads 1e-05 as a string."""

    def write_null(style: Any, _: None) -> Any:
        return style.represent_scalar("tag:yaml.org,2002:null", "null")

    def write_float(style: Any, value: float) -> Any:
        text = repr(value)
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e")
        return style.represent_scalar("tag:yaml.org,2002:float", text)

    Plain.add_representer(type(None), write_null)
    Plain.add_representer(float, write_float)
    style = YAML()
    style.Representer = Plain
    style.width = 4096  # no line is folded
    style.preserve_quotes = True
    return style


def text_of(document: Any) -> str:
    """A document of `round_trip` as text."""
    buffer = io.StringIO()
    round_trip().dump(document, buffer)
    return buffer.getvalue()


def _set(document: Any, text: str) -> None:
    dotted, equals, value = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ParamsError(f"--set {text!r} has no key and value; write it like --set train.steps=500")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ParamsError(f"--set {text!r}: the value is not YAML; quote it, or write it like [train, val]") from error
    node = parsed if value.strip()[:1] in ("'", '"') else _node(parsed)  # '2024' is meant as a string
    try:
        _put(document, renamed.key_of(".".join(keys), parsed), node)
    except ParamsError as error:
        raise ParamsError(f"--set {text!r}: {error}") from None


def _put(document: Any, dotted: str, node: Any) -> None:
    """Set a key, given by its current name, where `document` has it: under its old name if that is used."""
    keys = renamed.place(document, dotted).split(".")
    section = document
    for depth, key in enumerate(keys[:-1]):
        if key not in section:
            section[key] = {}
        section = section[key]
        if not isinstance(section, Mapping):
            raise ParamsError(f"{'.'.join(keys[: depth + 1])} is a value and has no keys below it")
    section[keys[-1]] = node


def _fit(document: Any, dotted: str, value: Any) -> None:
    """Set the key's value unless it already has it; a mapping keeps its form and comments."""
    *sections, key = renamed.place(document, dotted).split(".")
    section = document
    for name in sections:
        section = section.setdefault(name, {})
    old = section.get(key)
    if key in section and old == value and isinstance(old, bool) == isinstance(value, bool):
        return
    if isinstance(old, Mapping) and old and isinstance(value, Mapping) and value:
        for name in [name for name in old if name not in value]:
            del section[key][name]
        for name, item in value.items():
            _fit(section[key], name, item)
    else:
        section[key] = _node(value)


def _node(value: Any) -> Any:
    """Turn a parsed value into a document node: lists and mappings on one line, 1e-4 as a number."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        mapping = CommentedMap({key: _node(item) for key, item in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_node(item) for item in value)
        sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str) and value[:1] in "+-.0123456789":
        # PyYAML reads YAML 1.1, for which 1e-4 is a string: it needs 1.0e-4.
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _merge(document: Any, overlay: Mapping[str, Any], where: str = "") -> None:
    for key, value in overlay.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping) and value and path not in WHOLE and _is_section(document, path):
            _merge(document, value, path)
        else:
            _put(document, path, _node(value))


def _is_section(document: Any, path: str) -> bool:
    """Whether `path` is a section of `document`, or a current section whose settings it has by their old names."""
    old = any(renamed.is_there(document, renamed.OLD_OF[new]) for new in renamed.OLD_OF if new.startswith(f"{path}."))
    return old or isinstance(renamed.at(document, renamed.place(document, path)), Mapping)


def differences(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The dotted keys whose values differ, each with the old and the new value; None for a key missing on one side."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif old != new or type(old) is not type(new):
        yield where, (old, new)


def format_value(value: Any) -> str:
    """A value on one line, in YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=4096).removesuffix("\n").removesuffix("...").strip()
