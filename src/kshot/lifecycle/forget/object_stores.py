"""DVC's cache and its remotes as stores of objects: list, read and delete. Uses DVC's own file systems."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kshot.errors import DataError
from kshot.lifecycle.data.dvc_cache import dvc_repo
from kshot.lifecycle.forget.holding import Unreached
from kshot.redaction import redacted

CACHE = "DVC's cache"
FOLDER = ".dir"


@dataclass(frozen=True, eq=False)
class ObjectStore:
    """The cache or a remote. `parts`: DVC's object databases in it, of today's layout and of DVC 2's."""

    name: str
    parts: tuple[Any, ...]
    must_exist: Any = None

    @cached_property
    def objects(self) -> dict[str, Any]:
        """Object to the database that has it. Raises Unreached."""
        with reached(self.name):
            if self.must_exist is not None and not Path(self.must_exist).is_dir():
                raise Unreached(f"{self.name} cannot be reached: there is no folder {self.must_exist}")
            found: dict[str, Any] = {}
            for part in self.parts:
                if self.must_exist is None or Path(part.path).is_dir():
                    found |= dict.fromkeys(part.all(), part)
            return found

    @cached_property
    def folders(self) -> dict[str, dict[str, str]]:
        """Folder object to the files that it lists: relative path to object. A damaged listing lists nothing."""
        found = {}
        for oid in sorted(self.objects):
            if oid.endswith(FOLDER):
                try:
                    found[oid] = {str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(self.read(oid))}
                except (ValueError, TypeError, KeyError):
                    found[oid] = {}
        return found

    def read(self, oid: str) -> bytes:
        """The content of an object that is there. Raises Unreached."""
        with self.open(oid) as file:
            return bytes(file.read())

    @contextlib.contextmanager
    def open(self, oid: str) -> Iterator[Any]:
        """An object that is there, as a file that can be searched. Raises Unreached."""
        part = self.objects[oid]
        with reached(self.name), part.fs.open(part.oid_to_path(oid), "rb") as file:
            yield file

    def path(self, oid: str) -> str:
        """Where an object is."""
        return str(self.objects[oid].oid_to_path(oid))

    def size(self, oid: str) -> int:
        part = self.objects[oid]
        with reached(self.name):
            return int(part.fs.size(part.oid_to_path(oid)) or 0)

    def delete(self, oid: str) -> None:
        """Delete an object from every part that has it."""
        for part in self.parts:
            with reached(self.name):
                path = part.oid_to_path(oid)
                if part.fs.exists(path):
                    part.fs.remove(path)
                    if part.fs.exists(path):
                        raise Unreached(f"{self.name} still has {oid} after its deletion")


@dataclass(frozen=True)
class Stores:
    """The stores that answered, the cache first; `unreached`: name of each other store to the reason."""

    known: tuple[ObjectStore, ...]
    unreached: dict[str, str] = field(default_factory=dict)

    def read(self, oid: str) -> bytes | None:
        """An object's content from the first store that has it; None if none has."""
        for store in self.known:
            with contextlib.suppress(Unreached):
                if oid in store.objects:
                    return store.read(oid)
        return None


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Stores]:
    """The cache and every remote of the project's DVC. Raises DataError if DVC itself cannot be opened."""
    with dvc_repo(root, DataError) as repo:
        cache = ObjectStore(CACHE, (repo.cache.local, repo.cache.legacy), repo.cache.local_cache_dir)
        Path(repo.cache.local_cache_dir).mkdir(parents=True, exist_ok=True)
        found, unreached = [cache], dict[str, str]()
        for remote in sorted(repo.config["remote"]):
            name = f"remote {remote}"
            try:
                with reached(name):
                    store = _remote(repo, remote, name)
                store.objects  # noqa: B018 -- asks the remote
                found.append(store)
            except Unreached as error:
                unreached[name] = str(error)
        yield Stores(tuple(found), unreached)


@contextlib.contextmanager
def reached(name: str) -> Iterator[None]:
    """Turn every error of a store into Unreached: each kind of remote raises its own."""
    try:
        yield
    except Unreached:
        raise
    except Exception as error:
        what = redacted(" ".join(str(error).split()))[:200] or type(error).__name__
        raise Unreached(f"{name} cannot be reached: {what}") from error


def _remote(repo: Any, remote: str, name: str) -> ObjectStore:
    found = repo.cloud.get_remote(remote)
    if found.fs.version_aware or found.worktree:
        raise Unreached(f"{name} keeps versions of files (version_aware): delete the images and their versions there")
    return ObjectStore(name, (found.odb, found.legacy_odb), found.path if found.fs.protocol == "local" else None)
