"""Reads files and tags of a record that no hash protects; raises Broken for content that cannot be parsed."""

import json
from pathlib import Path
from typing import Any

import yaml

from kshot.lifecycle.project.broken import Broken
from kshot.load_yaml import load_yaml

SHOWN = 60  # characters of the content shown in a message


def json_of(what: str, content: str | bytes) -> Any:
    """Parse a JSON text. Raises Broken, naming `what`."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise Broken(f"{what} is no JSON any more: {error}", "JSON", _start(content)) from error


def yaml_of(what: str, path: Path) -> Any:
    """Parse a YAML file. Raises Broken, naming `what`."""
    content = path.read_bytes()
    try:
        return load_yaml(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Broken(f"{what} is no YAML any more: {' '.join(str(error).split())}", "YAML", _start(content)) from error


def text_of(what: str, path: Path) -> str:
    """Read a text file. Raises Broken, naming `what`."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken(f"{what} is no text any more: {error}", "UTF-8", _start(content)) from error


def at(what: str, value: Any, *keys: str | int) -> Any:
    """Look up a value by mapping keys and list positions. Raises Broken, naming `what` and the first missing key."""
    for key in keys:
        there = isinstance(value, dict) if isinstance(key, str) else isinstance(value, list)
        try:
            value = value[key] if there else _gone()
        except LookupError as error:
            raise Broken(f"{what} has no {key!r} any more", key, _start(str(value))) from error
    return value


def mapping(what: str, value: Any) -> dict[str, Any]:
    """The value as a mapping. Raises Broken, naming `what`."""
    if not isinstance(value, dict):
        raise Broken(f"{what} holds no keys any more", "a mapping", _start(str(value)))
    return value


def _gone() -> Any:
    raise LookupError


def _start(content: str | bytes) -> str:
    return repr(content[:SHOWN])
