"""Manifests: the sha256 of every file of a folder, to name each file that was changed, added or removed.

Pure functions over files. A registered model uses them to check itself without kshot, MLflow's registry or git.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

FILE = "manifest.json"  # in the folder that it describes
MODEL = "model"  # its section with the files of the folder
# MLflow writes a model's name and version into `registered_model_meta` next to it, each time it fetches the model.
WRITTEN_LATER = (FILE, "registered_model_meta")
NO_BYTECODE = "__pycache__"
# Python prefers compiled code to its source. A file in place of the __pycache__ folder keeps Python from reading or
# writing compiled code, so that the code that runs is the code that the manifest lists.
INSTEAD_OF_BYTECODE = "Python keeps no compiled code here: what runs is what manifest.json names.\n"


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """File to sha256, for every file below `folder` except the manifest and the files that MLflow adds later."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: file_sha256(folder / name) for name in names if name not in WRITTEN_LATER}


def difference(recorded: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """Describe each file that differs from the record, changed files first; () if none does.

    >>> difference({"a": "1", "b": "2"}, {"a": "9", "c": "3"})
    ('a was changed', 'b is missing', 'c was added')
    """
    changed = [
        f"{name} was changed" for name in sorted(recorded.keys() & found.keys()) if recorded[name] != found[name]
    ]
    missing = [f"{name} is missing" for name in sorted(recorded.keys() - found.keys())]
    added = [f"{name} was added" for name in sorted(found.keys() - recorded.keys())]
    return (*changed, *missing, *added)


def own_difference(folder: Path) -> tuple[str, ...]:
    """Describe how the model in `folder` differs from its own manifest.

    It only detects accidents: whoever can change a file can also change its manifest.
    """
    path = folder / FILE
    if not path.is_file():
        return (f"{FILE} is missing",)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))[MODEL]
        return difference(dict(recorded), hashes(folder))
    except (ValueError, KeyError, TypeError):
        return (f"{FILE} cannot be read",)
