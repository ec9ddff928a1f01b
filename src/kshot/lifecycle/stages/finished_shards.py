"""Shards that stage ingest finished, stored until DVC has its outputs: an ingest that was killed finds them again.

Each has a note beside it, MADE_FROM.json: the shard and the origin of each of its images. It is used again if settings,
code, paths (`made_from`), all image files and the shard itself are what they were.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import PIL

from kshot.data.pack_shards import Origin
from kshot.data.shards import Shard, is_whole
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5, write_text
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.stages import code_read
from kshot.params.schema import Ingest

STAGE = "ingest"


def folder_of(root: Path) -> Path:
    """The folder of finished shards, created if missing."""
    private_state(root)
    folder = root / layout.UNFINISHED / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def packer(root: Path, ingest: Ingest) -> str:
    """What determines the shard of given files: the settings, the code of the stage, Pillow and numpy."""
    path = root / code_read.place_of(STAGE)
    code = path.read_text(encoding="utf-8") if path.is_file() else repr(code_read.fingerprints(root, STAGE))
    return repr((asdict(ingest), code, PIL.__version__, np.__version__))


def made_from(packer: str, paths: Sequence[str]) -> str:
    """The name of the note of a shard of these images, whatever is in their files."""
    digest = hashlib.sha256(packer.encode())
    digest.update("\n".join(paths).encode())
    return digest.hexdigest()


def delete_others(folder: Path, names: Collection[str]) -> None:
    """Delete all but the shards with these notes: those of other images or settings, and one that was not finished."""
    notes = [path for path in folder.glob("*.json") if path.stem in names]
    found = {path.name for path in notes} | {shard.file for note in notes if (shard := _read(note)[0])}
    for path in folder.iterdir():
        if path.name not in found:
            path.unlink()


def note(folder: Path, name: str, shard: Shard | None, origins: Sequence[Origin]) -> None:
    """Write the note of a finished shard."""
    write_text(folder / f"{name}.json", json.dumps([shard and asdict(shard), origins]))


def find(folder: Path, name: str, paths: Sequence[Path]) -> tuple[Shard | None, list[Origin]] | None:
    """The finished shard of these images with their origins; None if there is none, or if a file has changed."""
    note = folder / f"{name}.json"
    if not note.exists():
        return None
    shard, origins = _read(note)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        same = all(pool.map(lambda path, origin: _has_md5(path, origin.file), paths, origins))
    if len(origins) != len(paths) or not same or (shard is not None and not is_whole(folder, shard)):
        return None
    return shard, origins


def put(folder: Path, shard: Shard, packed: Path) -> None:
    """Put a finished shard among the packed images, as a hard link where the file system has them."""
    target = packed / shard.file
    target.unlink(missing_ok=True)
    try:
        os.link(folder / shard.file, target)
    except OSError:
        shutil.move(folder / shard.file, target)


def _read(note: Path) -> tuple[Shard | None, list[Origin]]:
    try:
        shard, origins = json.loads(note.read_text(encoding="utf-8"))
        return Shard(**shard) if shard else None, [Origin(*origin) for origin in origins]
    except (ValueError, TypeError):
        return None, []  # damaged: the images are packed again


def _has_md5(path: Path, md5: str) -> bool:
    try:
        return file_md5(path) == md5
    except OSError:
        return False
