"""Finds shards of packed images that are missing or were changed, and a table of shards that cannot be read."""

from pathlib import Path

from kshot.data.jpeg_images import REMEDY
from kshot.data.shards.packed_shards import TABLE, is_whole, read_table
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.project import layout

CHECK = "packed"


def look(root: Path) -> list[Finding]:
    """One finding for each shard whose content is not the one that its name says; reads all of them."""
    folder = root / layout.PACKED
    if not (folder / TABLE).is_file():
        return []
    return [
        Finding(CHECK, _fault(folder / shard.file), "the shard that stage ingest wrote", REMEDY)
        for shard in dict.fromkeys(read_table(folder))
        if not is_whole(folder, shard)
    ]


def _fault(path: Path) -> str:
    return f"the shard {path} of packed images {'was changed' if path.exists() else 'is missing'}"
