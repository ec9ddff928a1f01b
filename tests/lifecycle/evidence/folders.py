"""Changes of an attestation's folder, as somebody would make them who wants to pass the check."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kshot.lifecycle.evidence import verify


def resealed(folder: Path) -> None:
    """Name today's files in the manifest, as somebody would who rewrites more than one file."""
    manifest = json.loads((folder / "manifest.json").read_text())
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in sorted(names)
        if name not in (verify.MANIFEST, verify.SIGNATURE)
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def unsign(folder: Path) -> None:
    """Take every signature out of the folder and its manifest."""
    (folder / verify.SIGNATURE).unlink()
    shutil.rmtree(folder / verify.ENVELOPES)
    (folder / verify.MODEL_SIGNATURE).unlink(missing_ok=True)
    resealed(folder)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
