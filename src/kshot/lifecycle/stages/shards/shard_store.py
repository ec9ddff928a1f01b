"""Shards that a stage finished: its own until it ends, then in DVC's cache, where a later run finds them by a note.

`.kshot/unfinished/STAGE` has the shards of the run and a note for each, MAKER-ROWS.json, which stays when the stage has
ended. MAKER is a hash of what determines a row besides its image, ROWS one of the rows. A note without its shard, in
either place, is worth nothing, and a shard counts only with the content that its name says.
"""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kshot.data.shards.packed_shards import Shard, is_content
from kshot.errors import KshotError
from kshot.lifecycle.data.dvc_cache import cache_of, place
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.private_state import private_state

NOTE = ".json"


@dataclass(frozen=True)
class ShardStore:
    """The finished shards of `stage` in the project at `root`."""

    root: Path
    stage: str

    @cached_property
    def folder(self) -> Path:
        """Where the stage puts its shards, created if missing."""
        private_state(self.root)
        folder = self.root / layout.UNFINISHED / self.stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def cache(self) -> Path | None:
        """DVC's cache; None for a project without DVC."""
        try:
            return cache_of(self.root)
        except KshotError:
            return None

    def find(self, shard: Shard) -> Path | None:
        """The file of a shard, in the folder or in DVC's cache; reads all of it. None if it is in neither."""
        path = self.folder / shard.file
        if is_content(path, shard):
            return path
        cached = self.cache and place(self.cache, path.stem)
        return cached if cached and is_content(cached, shard) else None

    def put(self, shard: Shard, output: Path) -> None:
        """Put a shard into the stage's output: a hard link to a new one if the file system has them.

        A shard of DVC's cache is copied, so that nobody who changes the output changes the cache.
        """
        source, target = self.folder / shard.file, output / shard.file
        target.unlink(missing_ok=True)
        if not source.is_file():
            assert self.cache is not None
            shutil.copyfile(place(self.cache, source.stem), target)
            return
        try:
            os.link(source, target)
        except OSError:
            shutil.move(source, target)

    def note(self, name: str) -> Path:
        """The path of a note."""
        return self.folder / f"{name}{NOTE}"

    def notes(self, maker: str) -> list[str]:
        """The names of the notes of a maker."""
        return sorted(path.stem for path in self.folder.glob(f"{maker}-*{NOTE}"))

    def begin(self, maker: str) -> list[str]:
        """The names of the notes of this maker; delete those of others, and shards that no note can name."""
        found = self.notes(maker)
        self.delete_notes(but=found)
        if not found:
            self.delete_shards(but=())
        return found

    def delete_notes(self, *, but: Collection[str]) -> None:
        """Delete all notes but these."""
        for path in self.folder.glob(f"*{NOTE}"):
            if path.stem not in but:
                path.unlink()

    def delete_shards(self, *, but: Collection[str]) -> None:
        """Delete all files but notes and the shards with these names."""
        for path in self.folder.iterdir():
            if path.suffix != NOTE and path.name not in but:
                path.unlink()


def delete_parts(root: Path, stage: str) -> None:
    """Delete the shards that a stage has finished: DVC has its outputs now. The notes stay."""
    folder = root / layout.UNFINISHED / stage
    if folder.is_dir():
        ShardStore(root, stage).delete_shards(but=())
