"""Packs images into shards, which `kshot.data.shards.packed_shards` reads."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from kshot.data.images import FindStored, Packed, Unreadable, nothing_stored, pack, pack_jpegs
from kshot.data.shards.packed_shards import LAYOUT, SUFFIXES, TABLE, Shard, md5_of
from kshot.params.sections.ingest import Ingest

JPEG_SHARE = 10  # pixels are about so many times as large as their JPEGs


class Origin(NamedTuple):
    """The file of an image: md5 and size of a readable one, else the reason. Small in memory."""

    file: str
    content: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether the image is in the shard."""
        return bool(self.content)


def row_bytes(ingest: Ingest) -> int:
    """About how many bytes a packed image takes."""
    pixels = ingest.size**2 * ingest.channels
    return max(1, pixels // JPEG_SHARE) if ingest.store == "jpeg" else pixels


def write_shard(
    paths: Iterable[Path], folder: Path, ingest: Ingest, *, part: str = "part", stored: FindStored = nothing_stored
) -> tuple[Shard | None, list[Origin]]:
    """Write the readable images, in order, as a shard into `folder`; the origin of every image.

    part: the name of the file until it is complete. stored: finds images that need not be decoded. The shard is None
    if no image is readable.
    """
    suffix = SUFFIXES[ingest.store]
    file = folder / f"{part}{suffix}"
    try:
        write = pack_jpegs if ingest.store == "jpeg" else pack
        origins = [_origin(one) for one in write(paths, file, ingest, stored)]
    except OSError:  # a full disk: what is left of the shard is of no use
        file.unlink(missing_ok=True)
        raise
    rows = sum(origin.is_readable for origin in origins)
    if not rows:
        file.unlink()
        return None, origins
    written = file.rename(folder / f"{md5_of(file)}{suffix}")
    return Shard(written.name, rows, written.stat().st_size), origins


def _origin(record: Packed | Unreadable) -> Origin:
    if isinstance(record, Unreadable):
        return Origin(record.file, reason=record.reason)
    return Origin(record.file, record.content, record.width, record.height)


def write_table(folder: Path, shards: Sequence[Shard], ingest: Ingest) -> None:
    """Write the table of the shards in `folder`, in the order of their rows."""
    first, listed = 0, []
    for shard in shards:
        listed.append({"first": first, **asdict(shard)})
        first += shard.rows
    shape = [ingest.size, ingest.size, ingest.channels]
    table = {"layout": LAYOUT, "store": ingest.store, "rows": first, "shape": shape, "shards": listed}
    (folder / TABLE).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
