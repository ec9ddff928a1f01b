"""The code files that a stage reads: its module's imports, followed through the installed package.

`fingerprints/STAGE.json` has one line per file, its name and its md5, and dvc.yaml lists it among the stage's params.
So DVC runs a stage again when a file that it uses has changed, and names the file, wherever kshot is installed.
"""

import json
from pathlib import Path

from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5, write_text
from kshot.lifecycle.tracking import plugin_code
from kshot.lifecycle.tracking.code_closure import PACKAGE, closure, folders

STAGES = f"{PACKAGE}.lifecycle.stages"


def place_of(stage: str) -> Path:
    """The fingerprint file of `stage`, relative to the project."""
    return layout.FINGERPRINTS / f"{stage}.json"


def refresh(root: Path, stage: str) -> None:
    """Write the fingerprints of the current code of `stage`; a file that already has them is not touched."""
    text = json.dumps(fingerprints(root, stage), indent=1) + "\n"
    path = root / place_of(stage)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    write_text(path, text)


def renew(root: Path, stage: str) -> None:
    """Write the fingerprints again if one of their files has changed, or a plug-in was chosen.

    DVC reads them after the stage, so that a plain `dvc repro` also records the code that ran.
    """
    path = root / place_of(stage)
    if not path.is_file():
        return
    where = folders(root)
    written: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    others = plugin_code.fingerprints(root, stage)
    if any(written.get(name) != md5 for name, md5 in others.items()):
        refresh(root, stage)
        return
    for name, md5 in written.items():
        if name in others or any((folder / name).is_file() and file_md5(folder / name) == md5 for folder in where):
            continue
        refresh(root, stage)
        return


def fingerprints(root: Path, stage: str) -> dict[str, str]:
    """The md5 of each file that `stage` reads, by name, sorted: "kshot/losses/triplet.py", never an absolute path.

    Names of the project's own code are relative to its src/; those of plug-ins are as in `plugin_code.fingerprints`. An
    `__init__.py` without code is left out. Raises StageFailed for a file that is not valid Python.
    """
    found = closure(f"{STAGES}.{stage}", folders(root)) | plugin_code.fingerprints(root, stage)
    return dict(sorted(found.items()))
