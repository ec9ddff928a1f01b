"""Reads the images of any data version from DVC's cache or its remote, whatever is in the working folder."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kshot.errors import DataError
from kshot.lifecycle.data import erasures
from kshot.lifecycle.project.dvc_repository import dvc_repository


class CachedImage(NamedTuple):
    """One image: md5 of its file, class, group and split from the data's own table ('' for none), path in data/raw."""

    md5: str
    label: str
    group: str
    split: str
    path: str = ""


class CachedClass(NamedTuple):
    """Group and split of a class from the data's own table, '' for none."""

    group: str
    split: str


def classes(root: Path, version: str) -> dict[str, CachedClass]:
    """The classes of the data version with that md5. Raises DataError if it is gone."""
    return {row["class"]: CachedClass(row["group"], row["split"]) for row in _manifest(root, version)[0]}


def images(root: Path, version: str) -> list[CachedImage]:
    """Every image of the data version with that md5, by class and path. Raises DataError if it is gone."""
    manifest, content = _manifest(root, version)
    rows = sorted(manifest, key=lambda row: (row["class"], row["path"]))
    return [CachedImage(content[row["path"]], row["class"], row["group"], row["split"], row["path"]) for row in rows]


def _manifest(root: Path, version: str) -> tuple[Iterator[dict[str, str]], dict[str, str]]:
    """The rows of a data version's manifest, and the md5 of each of its files by path."""
    listing = files(root, version, [f"{version}.dir"])[0].read_bytes()
    if hashlib.md5(listing, usedforsecurity=False).hexdigest() != version:
        raise DataError(
            f"the listing of data version {version[:8]} in DVC's cache was changed; delete it there and bring it back "
            "with `dvc fetch`, or add that data again"
        )
    content = {entry["relpath"]: entry["md5"] for entry in json.loads(listing)}
    manifest = files(root, version, [content["manifest.csv"]])[0].read_text(encoding="utf-8")
    return csv.DictReader(io.StringIO(manifest)), content


def files(root: Path, version: str, md5s: Iterable[str]) -> list[Path]:
    """Paths in the cache of these files of a data version; missing ones are first fetched from the remote.

    Raises DataError if the remote does not have them either, or there is no remote.
    """
    from dvc.exceptions import DvcException

    wanted = list(md5s)
    try:
        with dvc_repository(root) as repo:
            cache = Path(repo.cache.local.path)
            places = [cache / md5[:2] / md5[2:] for md5 in wanted]
            missing = [md5 for md5, place in zip(wanted, places, strict=True) if not place.exists()]
            if missing:
                _fetch(repo, missing)
    except DvcException as error:
        raise DataError(f"DVC cannot bring data version {version[:8]}: {error}; mend that and run again") from error
    gone = sum(not place.exists() for place in places)
    if gone:
        erasures.require_whole(root, version)
        raise DataError(
            f"{gone:,} of {len(places):,} files of data version {version[:8]} are neither in DVC's cache nor in a "
            "remote; bring them back with `dvc fetch`, or add that data again from its source"
        )
    return places


def _fetch(repo: Any, md5s: list[str]) -> None:
    from dvc.config import NoRemoteError
    from dvc_data.hashfile.hash_info import HashInfo

    try:
        repo.cloud.pull([HashInfo("md5", md5) for md5 in md5s])
    except (NoRemoteError, FileNotFoundError):  # the caller reports files that are still missing
        return
