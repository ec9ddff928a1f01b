"""Finds shards of stored features that are missing or were changed, and a table of shards that cannot be read."""

from pathlib import Path

from kshot.data.shards.feature_shards import REMEDY, TABLE, read_features_table
from kshot.data.shards.packed_shards import is_whole
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.project import layout

CHECK = "features"


def look(root: Path) -> list[Finding]:
    """One finding for each shard whose content is not the one that its name says; reads all of them."""
    folder = root / layout.EMBEDDED
    if not (folder / TABLE).is_file():
        return []
    return [
        Finding(CHECK, _fault(folder / shard.file), "the shard that stage embed wrote", REMEDY)
        for shard in dict.fromkeys(shard for view in read_features_table(folder) for shard in view)
        if not is_whole(folder, shard)
    ]


def _fault(path: Path) -> str:
    return f"the shard {path} of features {'was changed' if path.exists() else 'is missing'}"
