"""Checks that DVC still has the content of a hash, first in its cache, then in its remote."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot.first_few import first_few
from kshot.lifecycle.data import erasures
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.project.files import Advance, file_md5
from kshot.redaction import redacted

Remedy = Callable[[], str]  # called only where something is lost, because it searches other versions


@dataclass(frozen=True)
class Located:
    """The content of a folder. `remote`: how many of its objects only the remote has."""

    files: int
    size: int
    remote: int
    rehashed: bool

    def __str__(self) -> str:
        where = "all in DVC's cache" if not self.remote else f"{self.remote:,} of them only in DVC's remote"
        how = "content hashed again" if self.rehashed else "sizes as recorded"
        return f"{self.files:,} files, {self.size / 1e6:,.1f} MB, {where}, {how}"


def locate(
    root: Path, md5: str, size: int | None, *, advance: Advance | None = None, gone: Remedy | None = None
) -> Located:
    """Find the folder with DVC's `md5` (ending in .dir) and `size` in bytes; with `advance`, hash each object.

    Raises Broken for content that is neither in the cache nor in the remote, with the remedy that `gone` returns, and
    for content that does not match its hash; Erased if all that is missing was erased on purpose and the rest is whole.
    """
    with dvc_repo(root) as repo:
        cache = Path(repo.cache.local.path)
        entries = _listing(repo, cache, md5, gone)
        names = {entry["md5"]: entry["relpath"] for entry in entries}
        missing = [oid for oid in names if not place(cache, oid).exists()]
        remote, where = _in_remote(repo, missing)
    lost = {oid: names[oid] for oid in missing if oid not in remote}
    erased = erasures.of_images(root, lost, md5.removesuffix(".dir"))
    if lost and not erased:
        names_lost, verb = first_few(sorted(lost.values())), "is" if len(lost) == 1 else "are"
        raise Broken(
            f"{names_lost} of {md5[:8]} {verb} neither in DVC's cache nor in {where}{_with_remedy(gone)}",
            f"{len(entries)} files",
            f"{len(entries) - len(lost)} files",
        )
    here = [entry for entry in entries if entry["md5"] not in {*remote, *lost}]
    sizes = sum(place(cache, entry["md5"]).stat().st_size for entry in here)
    if advance is not None:
        _rehash(cache, {oid: name for oid, name in names.items() if oid not in {*remote, *lost}}, md5, advance, gone)
    if erased:
        raise erasures.gone(lost, md5[:8], erased)
    if not remote and size is not None and sizes != size:
        raise Broken(
            f"the files of {md5[:8]} in DVC's cache have not the size they had; --deep names those that changed",
            f"{size} bytes",
            f"{sizes} bytes",
        )
    return Located(len(entries), size if size is not None else sizes, len(remote), advance is not None)


def listing(root: Path, md5: str) -> list[dict[str, str]]:
    """The files in a folder according to DVC's cache: md5 and relpath of each. Raises Broken."""
    with dvc_repo(root) as repo:
        return _listing(repo, Path(repo.cache.local.path), md5, None)


def place(cache: Path, oid: str) -> Path:
    """The path of an object in DVC's cache."""
    return cache / oid[:2] / oid[2:]


def folder_md5(folder: Path, names: Iterable[str]) -> str:
    """The md5 that DVC computes for a folder with these files: the md5 of their listing."""
    entries = [{"md5": file_md5(folder / name), "relpath": name} for name in sorted(names)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


@contextlib.contextmanager
def bar(total: int, quiet: bool) -> Iterator[Advance]:
    """A progress bar in bytes on standard error, if that is a terminal."""
    from tqdm import tqdm

    disable = True if quiet else None  # None: unless it is a terminal
    with tqdm(total=total, unit="B", unit_scale=True, desc="hashing", disable=disable, leave=False) as progress:
        yield progress.update


@contextlib.contextmanager
def dvc_repo(root: Path, failure: type[Exception] = Broken) -> Iterator[Any]:
    """DVC's own object of the project. Raises `failure` if DVC cannot be opened, GitFailed if git refuses."""
    from dvc.exceptions import DvcException

    with contextlib.ExitStack() as opened:
        try:
            repo = opened.enter_context(dvc_repository(root))
        except DvcException as error:
            raise failure(f"DVC cannot say where the data is kept: {error}; take .dvc from git again") from error
        yield repo


def cache_of(root: Path) -> Path:
    """The folder of DVC's cache. Raises Broken if the project has none."""
    with dvc_repo(root) as repo:
        return Path(repo.cache.local.path)


def _with_remedy(remedy: Remedy | None) -> str:
    return f"; {remedy()}" if remedy is not None else ""


def _listing(repo: Any, cache: Path, md5: str, gone: Remedy | None) -> list[dict[str, str]]:
    path = place(cache, md5)
    if not path.exists():
        remote, where = _in_remote(repo, [md5])
        if not remote:
            raise Broken(
                f"the listing of {md5[:8]} is neither in DVC's cache nor in {where}{_with_remedy(gone)}", md5, "nothing"
            )
        raise Broken(f"{md5[:8]} is only in {where}; bring it here with `dvc fetch`, then ask again", md5, where)
    return cached_listing(cache, md5)


def cached_listing(cache: Path, md5: str) -> list[dict[str, str]]:
    """The files in a folder, from its listing in DVC's cache. Raises Broken, and OSError if the listing is gone."""
    path = place(cache, md5)
    text = path.read_bytes()
    found = f"{hashlib.md5(text).hexdigest()}.dir"
    if found != md5:
        raise Broken(f"the listing of {md5[:8]} in DVC's cache was changed", md5, found)
    entries: list[dict[str, str]] = json.loads(text)
    return entries


def _in_remote(repo: Any, oids: list[str]) -> tuple[set[str], str]:
    """The objects that DVC's remote has, and text that names the remote."""
    from dvc.config import NoRemoteError

    if not oids:
        return set(), ""
    try:
        remote = repo.cloud.get_remote_odb()
    except NoRemoteError:
        return set(), "a remote (none is set up)"
    where = f"the remote {remote.fs.unstrip_protocol(remote.path)}"
    try:
        return set(remote.oids_exist(oids)), where
    except Exception as error:  # every kind of remote raises its own
        return set(), f"{where}, which did not answer ({redacted(' '.join(str(error).split()))[:100]})"


def _rehash(cache: Path, names: dict[str, str], md5: str, advance: Advance, gone: Remedy | None) -> None:
    places = {name: place(cache, oid) for oid, name in names.items()}
    changed = sorted(name for oid, name in names.items() if file_md5(places[name], advance) != oid)
    if changed:
        where = first_few([str(places[name]) for name in changed])
        raise Broken(
            f"{first_few(changed)} of {md5[:8]} changed in DVC's cache; delete {where}, then `dvc fetch` where a "
            f"remote has it{_with_remedy(gone)}",
            "content with its md5",
            f"{len(changed)} files with other content",
        )
