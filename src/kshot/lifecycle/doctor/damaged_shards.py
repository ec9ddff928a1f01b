"""Finds shards of packed images and of features that are missing or were changed, and tables that cannot be read."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from kshot.data import jpeg_images
from kshot.data.shards import feature_shards, packed_shards
from kshot.data.shards.packed_shards import Shard
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.project import layout

PACKED, FEATURES = "packed", "features"  # checks


def packed_findings(root: Path) -> list[Finding]:
    """One finding for each shard of packed images whose content is not the one in its name; reads all of them."""
    folder = root / layout.PACKED
    shards = packed_shards.read_table(folder) if (folder / packed_shards.TABLE).is_file() else []
    return _findings(PACKED, folder, shards, "packed images", "ingest", jpeg_images.REMEDY)


def feature_findings(root: Path) -> list[Finding]:
    """The same for the shards of features."""
    folder = root / layout.EMBEDDED
    views = feature_shards.read_features_table(folder) if (folder / feature_shards.TABLE).is_file() else []
    return _findings(FEATURES, folder, chain(*views), "features", "embed", feature_shards.REMEDY)


def _findings(check: str, folder: Path, shards: Iterable[Shard], what: str, stage: str, remedy: str) -> list[Finding]:
    return [
        Finding(
            check,
            f"the shard {folder / shard.file} of {what} "
            f"{'was changed' if (folder / shard.file).exists() else 'is missing'}",
            f"the shard that stage {stage} wrote",
            remedy,
        )
        for shard in dict.fromkeys(shards)
        if not packed_shards.is_whole(folder, shard)
    ]
