"""Shards that stage ingest finished: an ingest that was killed, or one of new data, finds them and their rows again.

The note of a shard has the shard and the origin of each of its images. A shard is used again if settings, code, paths
(its name), all image files and the shard itself are what they were. Of one with other paths or files, the rows of those
files that are the same are used.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import PIL

from kshot.data.images import Stored
from kshot.data.jpeg_images import JpegImages
from kshot.data.shards import pack_shards
from kshot.data.shards.pack_shards import Origin
from kshot.data.shards.packed_shards import SUFFIXES, Shard
from kshot.lifecycle.project.files import file_md5, write_text
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.lifecycle.stages.shards.stored_rows import Source, StoredRows
from kshot.lifecycle.tracking.code_closure import closure, folders
from kshot.params.sections.ingest import Ingest

STAGE = "ingest"


def packer(root: Path, ingest: Ingest) -> str:
    """A hash of all that determines the packed image of a file: the settings, the code that packs, Pillow and numpy."""
    code = closure(pack_shards.__name__, folders(root))
    made_by = repr((asdict(ingest), code, PIL.__version__, np.__version__))
    return hashlib.sha256(made_by.encode()).hexdigest()[:16]


def made_from(packer: str, paths: Sequence[str]) -> str:
    """The name of the note of a shard of these images, whatever is in their files."""
    digest = hashlib.sha256("\n".join(paths).encode()).hexdigest()
    return f"{packer}-{digest[:32]}"


def finish(
    store: ShardStore, name: str, files: Sequence[Path], ingest: Ingest, rows: StoredRows[Stored]
) -> tuple[Shard | None, list[Origin]]:
    """The shard of these images with their origins: a finished one, or one that is written now, with a note."""
    found = find(store, name, files)
    if found is None:
        own = rows_of(store, [name])
        part = f"{name}-{secrets.token_hex(4)}"  # a node that counts as lost may still write its own
        found = pack_shards.write_shard(
            files, store.folder, ingest, part=part, stored=lambda md5: rows.find(md5) or own.find(md5)
        )
        shard, origins = found
        write_text(store.note(name), json.dumps([shard and asdict(shard), origins]))
    return found


def find(store: ShardStore, name: str, files: Sequence[Path]) -> tuple[Shard | None, list[Origin]] | None:
    """The finished shard of these images with their origins; None if there is none, or if a file has changed."""
    if not store.note(name).exists():
        return None
    shard, origins = _read(store.note(name))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        same = all(pool.map(lambda path, origin: _has_md5(path, origin.file), files, origins))
    if len(origins) != len(files) or not same or (shard is not None and store.find(shard) is None):
        return None
    return shard, origins


def rows_of(store: ShardStore, names: Sequence[str]) -> StoredRows[Stored]:
    """The packed images of the shards with these notes, by the md5 of the image file."""
    return StoredRows(_sources(store, names))


def _sources(store: ShardStore, names: Sequence[str]) -> Iterator[Source[Stored]]:
    for name in names:
        shard, origins = _read(store.note(name))
        readable = [origin for origin in origins if origin.is_readable]
        if shard is not None and len(readable) == shard.rows:
            yield Source([origin.file for origin in readable], partial(_opened, store, shard, readable))


def _opened(store: ShardStore, shard: Shard, origins: Sequence[Origin]) -> Callable[[int], Stored] | None:
    path = store.find(shard)
    if path is None:
        return None
    packed = _reader(path, shard)

    def stored(row: int) -> Stored:
        return Stored(origins[row].content, origins[row].width, origins[row].height, packed(row))

    return stored


def _reader(path: Path, shard: Shard) -> Callable[[int], bytes]:
    if shard.file.endswith(SUFFIXES["jpeg"]):
        return JpegImages(path).encoded
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return lambda row: pixels[row].tobytes()


def _read(note: Path) -> tuple[Shard | None, list[Origin]]:
    try:
        shard, origins = json.loads(note.read_text(encoding="utf-8"))
        return Shard(**shard) if shard else None, [Origin(*origin) for origin in origins]
    except (OSError, ValueError, TypeError):
        return None, []  # damaged: the images are packed again


def _has_md5(path: Path, md5: str) -> bool:
    try:
        return file_md5(path) == md5
    except OSError:
        return False
