"""Finds and renames settings with old names in a project's files."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import ParamsError
from kshot.first_few import first_few
from kshot.lifecycle.params_file import settings, yaml_document
from kshot.load_yaml import load_yaml
from kshot.params import reader, renamed

GRAPH = "dvc.yaml"
BESIDE, LISTED_SINCE = "ingest.crop", ("ingest.fit", "ingest.store")  # listed one by one, as DVC's cache needs
LISTED = re.compile(r"^(\s*-\s+)([a-z_]+(?:\.[a-z_0-9]+)+)[ \t]*$", re.MULTILINE)  # a key in a stage's list of params


def found(root: Path) -> dict[str, list[str]]:
    """The outdated keys in params.yaml and dvc.yaml, by file name; files without any, or unreadable, are left out.

    An unreadable file is reported by the code that needs it.
    """
    keys: dict[str, list[str]] = {}
    try:
        keys[settings.PARAMS] = renamed.outdated(reader.parsed(root / settings.PARAMS))
        listed = LISTED.findall((root / GRAPH).read_text(encoding="utf-8"))
        keys[GRAPH] = [key for _, key in listed if _today(key) != key]
    except (OSError, UnicodeDecodeError, ParamsError):
        pass
    return {name: old for name, old in keys.items() if old}


def notice(root: Path) -> str:
    """A notice about old names, '' if all names are current.

    Raises ParamsError if params.yaml and dvc.yaml name settings differently, because DVC would not find them, or if
    params.yaml has a newer setting of images that dvc.yaml does not list, because DVC would not see it change.
    """
    if added := unlisted(root):
        raise ParamsError(
            f"params.yaml has {first_few(added)}, which dvc.yaml does not list, so that a change would not be seen: "
            f"below each line `- {BESIDE}` of dvc.yaml add {' and '.join(f'`- {key}`' for key in added)}"
        )
    old = found(root)
    if not old:
        return ""
    text = "; ".join(f"{name} has old names of settings: {first_few(keys)}" for name, keys in old.items())
    if lost := not_found(root):
        raise ParamsError(
            f"dvc.yaml names {first_few(lost)}, which params.yaml has by another name; "
            "`kshot doctor --mend` renames them"
        )
    return f"{text}; they still work, and `kshot doctor --mend` renames them"


def unlisted(root: Path) -> list[str]:
    """The settings of LISTED_SINCE that params.yaml has and that a dvc.yaml of an older kshot does not list."""
    try:
        present = reader.parsed(root / settings.PARAMS)
        listed = {key for _, key in LISTED.findall((root / GRAPH).read_text(encoding="utf-8"))}
    except (OSError, UnicodeDecodeError, ParamsError):
        return []
    return [key for key in LISTED_SINCE if renamed.is_there(present, key) and BESIDE in listed and key not in listed]


def not_found(root: Path) -> list[str]:
    """The keys listed in dvc.yaml that params.yaml has only by another name, so that DVC would not find them."""
    params = reader.parsed(root / settings.PARAMS)
    today = renamed.migrate(params)
    listed = [key for _, key in LISTED.findall((root / GRAPH).read_text(encoding="utf-8"))]
    return [key for key in listed if not renamed.is_there(params, key) and renamed.is_there(today, _today(key))]


def overrides_notice(overlay: Path | None, sets: Sequence[str]) -> str:
    """A notice about old names in `--params` or `--set`, '' if there are none."""
    named = [text.partition("=")[0].strip() for text in sets]
    old = [key for key, text in zip(named, sets, strict=True) if renamed.key_of(key, _value(text)) != key]
    if overlay is not None:
        with contextlib.suppress(ParamsError):
            old += renamed.outdated(reader.parsed(overlay))
    new = [f"{key} is {renamed.key_of(key)} now" for key in old]
    return f"old names of settings: {first_few(new)}; they still work" if old else ""


def mend(root: Path) -> str:
    """Rename the settings in params.yaml and dvc.yaml, preserving comments. Returns text about the changes.

    Raises ParamsError, and writes nothing, if a setting is there by both names.
    """
    old = found(root)
    if settings.PARAMS in old:
        settings.write(root, rewritten((root / settings.PARAMS).read_text(encoding="utf-8")))
    if GRAPH in old:
        path = root / GRAPH
        path.write_text(LISTED.sub(_line, path.read_text(encoding="utf-8")), encoding="utf-8")
    return "; ".join(f"{len(keys)} settings in {name} renamed" for name, keys in old.items())


def rewritten(text: str) -> str:
    """The text of a params.yaml, or of a file for `--params`, with current names and its comments preserved."""
    document = yaml_document.round_trip().load(text)
    renamed.migrate(document)
    for name in dict.fromkeys(old.partition(".")[0] for old in renamed.RENAMED):
        if isinstance(document.get(name), Mapping):
            document[name] = _section(name, document[name])
    for key, names in renamed.VALUES.items():
        section, _, last = key.rpartition(".")
        value = renamed.at(document, key)
        if isinstance(value, str) and value in names:
            renamed.at(document, section)[last] = names[value]
    return yaml_document.text_of(document)


def _section(name: str, section: Any) -> Any:
    """A section of the document with its keys renamed, each with its comment.

    A new section is placed where its first key was.
    """
    from ruamel.yaml.comments import CommentedMap

    fresh = CommentedMap()
    if section.fa.flow_style():
        fresh.fa.set_flow_style()
    fresh.ca.comment = section.ca.comment
    for key, value in section.items():
        *sections, last = renamed.key_of(f"{name}.{key}", value).split(".")[1:]
        target = fresh
        for part in sections:
            target = target.setdefault(part, CommentedMap())
        if isinstance(target.get(last), Mapping) and isinstance(value, Mapping):  # half of the file was renamed by hand
            target[last].update(value)
            continue
        target[last] = value
        if key in section.ca.items:
            target.ca.items[last] = section.ca.items[key]
    return fresh


def _today(key: str) -> str:
    """The current name of a key in dvc.yaml; train.method and train.loss may already be today's sections."""
    new = renamed.RENAMED.get(key, "")
    return key if new.startswith(f"{key}.") else renamed.key_of(key)


def _value(text: str) -> Any:
    """The value of a text like `train.steps=500`; None if it is not YAML, which another check reports."""
    with contextlib.suppress(yaml.YAMLError):
        return load_yaml(text.partition("=")[2])
    return None


def _line(match: re.Match[str]) -> str:
    return match[1] + _today(match[2])
