"""`kshot prune`: lists the files to delete with their sizes, and then deletes those files and no others."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.files import below
from kshot.lifecycle.prune import kept, registered
from kshot.lifecycle.prune.kept import FOLDER, Version
from kshot.lifecycle.prune.registered import Weights
from kshot.lifecycle.tracking import store

REST_S = 7 * 24 * 3600.0  # a younger checkpoint may still be resumed
CHECKPOINTS = layout.STATE / "checkpoints"


@dataclass(frozen=True)
class Item:
    """One thing to delete: what it is and why; its files, relative to the project, and their total bytes.

    `weights`: the files are in MLflow's store instead, as model files of that version.
    """

    what: str
    why: str
    files: tuple[str, ...]
    size: int
    weights: Weights | None = None


@dataclass(frozen=True)
class Proposal:
    """The files to delete, and the kept versions with the reason. `note`: what was not considered, '' for nothing."""

    items: tuple[Item, ...]
    kept: dict[str, str]
    note: str

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def propose(root: Path) -> Proposal:
    """Everything that no kept version needs. Changes nothing.

    Raises RegistryError if the inputs of a champion, past or present, cannot be determined.
    """
    known = kept.versions(root)
    cache = kept.own_cache(root)
    note = "" if cache else "DVC's cache lies outside of the project and may be others' too: nothing in it is proposed"
    items = [*(_objects(root, cache, known) if cache else []), *_weights(root, known), *_checkpoints(root)]
    return Proposal(tuple(items), {one.number: one.why for one in known if one.why}, note)


def delete(root: Path, proposal: Proposal) -> None:
    """Delete the files of the proposal. After a kill, the next proposal contains the rest."""
    for item in proposal.items:
        for name in item.files:
            if item.weights is None:
                (root / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # other files may be next to it
                    (root / name).parent.rmdir()
        if item.weights is not None:
            registered.delete(root, item.weights)


def _objects(root: Path, cache: Path, known: tuple[Version, ...]) -> list[Item]:
    """Unneeded objects of DVC's cache, each listed once: under its data version, its version, or separately."""
    stay = kept.needed(root, cache, known)
    left = {path.parent.name + path.name: path for path in below(cache) if len(path.parent.name) == 2}
    left = {oid: path for oid, path in left.items() if oid not in stay}
    items = []
    for version in data_versions.versions(root):
        on_it = [one.number for one in known if one.data_version == version.md5]
        why = f"only version {', '.join(on_it)} was trained on it" if on_it else "no model was trained on it"
        source = f"{version.source}, added {version.added[:10]}"
        items.append(
            _taken(root, f"data version {version.short} ({source})", why, {f"{version.md5}{FOLDER}"}, cache, left)
        )
    for one in known:
        if not one.why:
            what = f"what the stages of version {one.number} wrote"
            items.append(_taken(root, what, f"{one.decision}, never champion", set(one.locked or ()), cache, left))
    rest = _item(
        root, "other outputs of stages", "no registered version and no branch names them", sorted(left.values())
    )
    return [item for item in (*items, rest) if item.files]


def _taken(root: Path, what: str, why: str, oids: set[str], cache: Path, left: dict[str, Path]) -> Item:
    """Remove these objects, and the contents of the folders among them, from `left`, and return them as an item."""
    found = set()
    for oid in oids:
        with contextlib.suppress(Broken, OSError):  # a folder without a listing
            found |= kept.expanded(cache, oid)
    paths = [left.pop(oid) for oid in sorted(found & left.keys())]
    # A folder's listing is deleted last: as long as it exists, the folder's objects are known.
    return _item(root, what, why, sorted(paths, key=lambda path: (path.name.endswith(FOLDER), path)))


def _item(root: Path, what: str, why: str, paths: list[Path]) -> Item:
    names = tuple(path.relative_to(root.resolve()).as_posix() for path in paths)
    return Item(what, why, names, sum(path.stat().st_size for path in paths))


def _weights(root: Path, known: tuple[Version, ...]) -> list[Item]:
    found = []
    with store.translated_errors(store.connect(root)):
        sources = registered.sources(root)
        for one in known:
            weight_files = None if one.why else registered.weights_of(sources, one.number)
            if weight_files is not None and weight_files.files:
                what = f"model files of version {one.number}"
                why = f"{one.decision}, never champion; metrics and predictions stay"
                found.append(Item(what, why, weight_files.files, weight_files.size, weight_files))
    return found


def _checkpoints(root: Path) -> list[Item]:
    found = []
    for folder in sorted((root / CHECKPOINTS).glob("*")):
        paths = below(folder)
        age = time.time() - max((path.stat().st_mtime for path in paths), default=0.0)
        if paths and age > REST_S:
            why = f"of a training that was stopped {age / 86400:.0f} days ago"
            found.append(_item(root, f"checkpoint {folder.name}", why, paths))
    return found
