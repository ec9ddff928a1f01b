"""A manifest: the sha256 of every file of a folder, so that a file that was changed, added or removed is named.

Pure functions over files; a registered model checks itself by them without kshot, MLflow's registry or git.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

FILE = "manifest.json"  # in the folder that it is about
MODEL = "model"  # its section with the files of the folder
# MLflow writes name and version beside a model into `registered_model_meta`, anew whenever it fetches the model.
WRITTEN_LATER = (FILE, "registered_model_meta")
NO_BYTECODE = "__pycache__"
# Python reads compiled code before the source that it belongs to. A file where the folder of it would be keeps it
# from reading or writing any, so that what runs is what the manifest names.
INSTEAD_OF_BYTECODE = "Python keeps no compiled code here: what runs is what manifest.json names.\n"


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """File to sha256, for every file below `folder` but the manifest itself and what MLflow adds to it later."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: file_sha256(folder / name) for name in names if name not in WRITTEN_LATER}


def difference(recorded: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """What is not as recorded, a few words each and the changed files first: () where all is.

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
    """What of a model in `folder` is not as its own manifest says.

    It protects from accidents alone: who can change a file can change the manifest beside it.
    """
    path = folder / FILE
    if not path.is_file():
        return (f"{FILE} is missing",)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))[MODEL]
        return difference(dict(recorded), hashes(folder))
    except (ValueError, KeyError, TypeError):
        return (f"{FILE} cannot be read",)
