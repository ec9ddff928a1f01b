"""The project's name: the line `project: NAME` of params.yaml. Models, runs, history and schedules use it."""

import re
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import ParamsError
from kshot.load_yaml import load_yaml

KEY = "project"
BEFORE = "kshot"  # name of a project whose params.yaml has no such line: older projects all had this name
LONGEST = 63
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RULE = f"needs a letter or digit first, then letters, digits, '-', '_' and '.', at most {LONGEST} characters"


def of(root: Path) -> str:
    """The name of the project at `root`. Raises ParamsError for an invalid name.

    Only this line is read, so that a mistake elsewhere in params.yaml does not prevent a rollback.
    """
    path = root / "params.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return BEFORE
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} cannot be read ({error}); it holds the project's name") from error
    lines = [line for line in text.splitlines() if re.match(rf"""["']?{KEY}["']?\s*:""", line)]
    if len(lines) > 1:
        raise ParamsError(f"params.yaml: {KEY} stands there {len(lines)} times; leave the one line that names it")
    try:
        mapping = load_yaml(lines[0]) if lines else {}
    except yaml.YAMLError as error:
        raise ParamsError(f"params.yaml: the line {lines[0]!r} is not YAML; write {KEY}: NAME") from error
    return checked(mapping[KEY]) if mapping else BEFORE


def checked(name: Any) -> str:
    """Return the name. Raises ParamsError if it is invalid or the name of MLflow's own experiment."""
    what = f"params.yaml: {KEY} is {name!r}; {RULE}"
    if not isinstance(name, str):
        raise ParamsError(f"{what}; quote it where YAML takes it for something else")
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ParamsError(what)
    if name.lower() == "default":
        raise ParamsError(f"params.yaml: {KEY} is {name!r}, which MLflow keeps for itself; choose another name")
    return name
