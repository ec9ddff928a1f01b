"""A YAML document with its comments: read, changed key by key, written as PyYAML can read it."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import ParamsError
from kshot.lifecycle.params_file.named_protocols import named_protocols
from kshot.lifecycle.params_file.settings_change import WHOLE
from kshot.load_yaml import load_yaml
from kshot.params import reader, renamed


def read_with_comments(path: Path) -> Any:
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


def set_from_text(document: Any, text: str) -> None:
    dotted, equals, value = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ParamsError(f"--set {text!r} has no key and value; write it like --set train.steps=500")
    try:
        parsed = load_yaml(value)
    except yaml.YAMLError as error:
        raise ParamsError(f"--set {text!r}: the value is not YAML; quote it, or write it like [train, val]") from error
    try:
        key = renamed.key_of(".".join(keys), parsed)
        parsed = named_protocols(key, parsed)
        node = parsed if value.strip()[:1] in ("'", '"') else _node(parsed)  # '2024' is meant as a string
        put(document, key, node)
    except ParamsError as error:
        raise ParamsError(f"--set {text!r}: {error}") from None
    except RecursionError as error:
        raise ParamsError(f"--set {text!r}: the value is nested too deeply, or contains itself") from error


def put(document: Any, dotted: str, node: Any) -> None:
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


def fit(document: Any, dotted: str, value: Any) -> None:
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
            fit(section[key], name, item)
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


def merge(document: Any, overlay: Mapping[str, Any], where: str = "") -> None:
    for key, value in overlay.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping) and value and path not in WHOLE and _is_section(document, path):
            merge(document, value, path)
        else:
            put(document, path, _node(value))


def _is_section(document: Any, path: str) -> bool:
    """Whether `path` is a section of `document`, or a current section whose settings it has by their old names."""
    old = any(renamed.is_there(document, renamed.OLD_OF[new]) for new in renamed.OLD_OF if new.startswith(f"{path}."))
    return old or isinstance(renamed.at(document, renamed.place(document, path)), Mapping)
