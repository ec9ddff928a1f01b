"""Restores a data version to data/raw, and finds out whether data/raw has changes that are in none."""

import contextlib
import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import yaml

from kshot.errors import DataError
from kshot.lifecycle.data import erasures, lost_content, working_copy
from kshot.lifecycle.data.data_versions import DataVersion, current, enter, versions
from kshot.lifecycle.data.dvc_cache import folder_md5, locate
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken

LINKS = "reflink,hardlink,copy"  # the first of them that the file system can do


def checkout(root: Path, version: DataVersion, *, linked: bool = False) -> bool:
    """Restore a version to data/raw and data/raw.dvc, from DVC's cache or, if one is set up, its remote.

    `linked`: the files may be those of DVC's cache, read-only. For a temporary tree, in which nothing changes them.
    Returns whether anything had to be restored. The version that is there now is first saved to the cache and the
    ledger if they have lost it. Raises DataError if data/raw contains changes that are in no version, and if the
    content cannot be found; nothing is changed then.
    """
    working_copy.mend(root)
    here = working_copy.tracked(root)
    if here is not None and here.md5 == version.md5 and (root / layout.RAW).exists() and working_copy.is_current(root):
        return False
    erasures.require_whole(root, version.md5)
    _keep_present(root)
    refuse_unsaved(root)
    out = {"md5": f"{version.md5}.dir", "size": version.size, "nfiles": version.files, "hash": "md5", "path": "raw"}
    (root / layout.RAW.parent).mkdir(parents=True, exist_ok=True)
    with working_copy.replacing(root), _links(root) if linked else contextlib.nullcontext():
        (root / layout.RAW_DVC).write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False), encoding="utf-8")
        _bring(root, version)
    return True


@contextlib.contextmanager
def _links(root: Path) -> Iterator[None]:
    """Let DVC link files in the block, unless the project chose how DVC brings them.

    Only in the block: a stage could write into an output of its own that is a file of the cache.
    """
    from dvc.config import Config

    config = Config(str(root / ".dvc"), validate=False)
    if "type" in config.read()["cache"]:
        yield
        return
    with config.edit("local", validate=False) as local:
        local.setdefault("cache", {})["type"] = LINKS
    try:
        yield
    finally:
        with config.edit("local", validate=False) as local:
            del local["cache"]["type"]


def difference(root: Path, version: DataVersion) -> str:
    """Why data/raw is not `version`, which data/raw.dvc names, and how to restore it without losing anything.

    data/raw contains either another version, as after a change of branch, or changes that are in no version.
    """
    names, restore = f"{layout.RAW_DVC} names data version {version.short}", f"`kshot data restore {version.short}`"
    if other := _saved(root)[:8]:
        return (
            f"{layout.RAW} holds data version {other}, and {names}, as after a change of branch; "
            f"bring that with {restore}, {other} stays in DVC's cache"
        )
    return (
        f"{layout.RAW} holds changes that are in no data version, and {names}; "
        f"move {layout.RAW} away, bring that version with {restore}, and changed images with `kshot data add`"
    )


def refuse_unsaved(root: Path) -> None:
    """Raise DataError if data/raw contains something that would be lost.

    After a change of branch, data/raw differs from data/raw.dvc but is still in DVC's cache.
    """
    try:
        working_copy.refuse_unsaved(root)
    except DataError:
        if not _saved(root):
            raise


def _saved(root: Path) -> str:
    """The md5 of data/raw's content if DVC's cache has all of it, else ''."""
    folder = root / layout.RAW
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    md5 = folder_md5(folder, files)
    try:
        return md5.removesuffix(".dir") if locate(root, md5, None).remote == 0 else ""
    except Broken:
        return ""


def _keep_present(root: Path) -> None:
    """Save the version in data/raw to DVC's cache and the ledger before another replaces it."""
    here = current(root)
    if here is None:
        return
    if (root / layout.RAW).exists() and not _is_cached(root, here):
        working_copy.stored_again(root)  # unless data/raw has changes, which the caller reports
    if here not in versions(root):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        enter(root, dataclasses.replace(here, added=now, note="found in data/raw"))


def _is_cached(root: Path, version: DataVersion) -> bool:
    try:
        return locate(root, f"{version.md5}.dir", version.size or None).remote == 0
    except Broken:
        return False


def _bring(root: Path, version: DataVersion) -> None:
    try:
        working_copy.dvc(root, "checkout", "--force", str(layout.RAW_DVC))
    except DataError as missing:
        try:
            working_copy.dvc(root, "pull", "--force", str(layout.RAW_DVC))
        except DataError:
            raise DataError(
                f"the content of data version {version.short} is neither in DVC's cache nor in a remote; "
                f"{lost_content.way_back(root, [version, *versions(root)], version.md5)}"
            ) from missing
