"""The place "project folder": copies of the images, archives with them, outputs of stages, and pages."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from kshot.errors import Busy
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.packed import has_pixels
from kshot.lifecycle.forget import derived, page_images
from kshot.lifecycle.forget.archive_members import ARCHIVE, member_of
from kshot.lifecycle.forget.holding import Forgotten, Holding
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import below, file_md5, write_bytes
from kshot.lifecycle.stages.features import are_features
from kshot.lifecycle.tracking.lineage import ingested

LEFT_OUT = (".git", ".venv", "__pycache__", "node_modules")
TREES = (layout.STATE / "worktree", "rebuild-*", "sweep-*")  # of schedules, `kshot reproduce` and `kshot sweep`
DRIFT = "drift's sample of training images"  # .kshot/drift: a cache
UNFINISHED = "finished parts of stages"  # .kshot/unfinished: nothing tells of which images a part was made
KNOWN = frozenset({"index.html", derived.ROWS})  # of the stages that read pixels
COPY, PAGE, COMPUTED, TREE = "copy of the image", "page: its images", "computed from it", "checked-out data"


@dataclass(frozen=True)
class ProjectFiles:
    """The project's folder without git and `apart`, the folders of other places."""

    root: Path
    apart: tuple[Path, ...]
    name: str = "project folder"
    folders: tuple[Path, ...] = ()

    def find(self, wanted: Forgotten) -> list[Holding]:
        """Copies, archives, computed files and pages."""
        found = [*self._copies(wanted), *self._computed(wanted), *self._pages(wanted), *self._trees()]
        return [*found, *((*self._samples(), *self._unfinished()) if wanted.versions else ())]

    def delete(self, holdings: Sequence[Holding]) -> None:
        """Delete the files; a page stays, without its images, and an archive as it is."""
        for one in holdings:
            if one.what == ARCHIVE:
                continue
            path = self.root / one.at
            if one.what == PAGE:
                _strip(path)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _copies(self, wanted: Forgotten) -> Iterator[Holding]:
        sizes = {image.size for image in wanted.images}
        is_any = 0 in sizes or not sizes  # the size of an image that nothing here can read any more is not known
        for path in self._files():
            size = path.stat().st_size
            if (is_any or size in sizes) and (md5 := file_md5(path)) in wanted.md5s:
                yield Holding(self.name, COPY, md5, path.relative_to(self.root).as_posix(), size)
                continue
            at = path.relative_to(self.root)
            if layout.RAW not in at.parents:  # only images are in a data version
                with path.open("rb") as file:
                    member = member_of(file, wanted)
                if member:
                    yield Holding(self.name, ARCHIVE, f"{at.as_posix()} ({member})", at.as_posix(), size)

    def _computed(self, wanted: Forgotten) -> Iterator[Holding]:
        rows = self.root / layout.PACKED / derived.ROWS
        is_packed = derived.shows(rows.read_bytes(), wanted) if rows.exists() else self._has_pixels()
        if not is_packed and ingested(self.root) not in wanted.versions:
            return
        for folder in (layout.EMBEDDED, layout.VALIDATION, layout.PACKED):  # the last one tells what the others are of
            files = below(self.root / folder)
            names = {path.name for path in files}
            if any(has_pixels(name) for name in names) or are_features(names) or not KNOWN.isdisjoint(names):
                yield self._folder(COMPUTED, folder, files)

    def _has_pixels(self) -> bool:
        """Whether there are packed images; without their table nobody can say of which files."""
        return any(has_pixels(path.name) for path in below(self.root / layout.PACKED))

    def _unfinished(self) -> Iterator[Holding]:
        for folder in sorted((self.root / layout.UNFINISHED).glob("*")):
            yield self._folder(UNFINISHED, folder.relative_to(self.root), below(folder))

    def _pages(self, wanted: Forgotten) -> Iterator[Holding]:
        others = {version.md5 for version in data_versions.versions(self.root)} - wanted.versions
        for path in self._files():
            parents = path.relative_to(self.root).parents
            if path.suffix == ".html" and layout.VALIDATION not in parents and layout.MLRUNS not in parents:
                content = path.read_bytes()
                if wanted.versions and page_images.is_about(content, wanted.versions, others):
                    digest = hashlib.sha256(content).hexdigest()
                    yield Holding(self.name, PAGE, digest, path.relative_to(self.root).as_posix(), len(content))

    def _trees(self) -> Iterator[Holding]:
        """Data of worktrees that killed commands left. Raises Busy for one that is in use."""
        for tree in sorted((self.root / layout.STATE).glob("rebuild-*")):
            number = tree.name.removeprefix("rebuild-").partition("-")[0]
            if number.isdecimal() and psutil.pid_exists(int(number)) and int(number) != os.getpid():
                raise Busy(f"`kshot reproduce` (process {number}) works with the data; wait until it has ended")
        left = [tree for pattern in TREES[1:] for tree in sorted((self.root / layout.STATE).glob(str(pattern)))]
        for tree in (self.root / TREES[0], *left):
            for folder in sorted(tree.rglob("data")) if tree.is_dir() else []:
                if (folder / layout.RAW.name).exists() or (folder / layout.PACKED.name).exists():
                    yield self._folder(TREE, folder.relative_to(self.root), below(folder))
            for folder in sorted(tree.rglob(layout.UNFINISHED.as_posix())):
                yield self._folder(UNFINISHED, folder.relative_to(self.root), below(folder))

    def _samples(self) -> Iterator[Holding]:
        for path in below(self.root / layout.STATE / "drift"):
            at = path.relative_to(self.root).as_posix()
            yield Holding(self.name, DRIFT, at, at, path.stat().st_size)

    def _folder(self, what: str, folder: Path, files: Sequence[Path]) -> Holding:
        at = folder.as_posix()
        return Holding(self.name, what, at, at, sum(path.stat().st_size for path in files))

    def _files(self) -> Iterator[Path]:
        """Every file that belongs to no other place."""
        others = {folder.resolve() for folder in self.apart}
        for folder, folders, names in os.walk(self.root):
            place = Path(folder)
            folders[:] = [one for one in folders if one not in LEFT_OUT and (place / one).resolve() not in others]
            for name in sorted(names):
                if (path := place / name).is_file() and not path.is_symlink():
                    yield path


def _strip(path: Path) -> None:
    if path.exists():
        write_bytes(path, page_images.without_images(path.read_bytes()))
