"""Data versions: imported images in data/raw, tracked by DVC, whose md5 of that folder is the data version."""

import contextlib
import dataclasses
import hashlib
import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from kshot.errors import DataError
from kshot.lifecycle.data import data_names, erasures, extension, imported_images, lost_content, working_copy
from kshot.lifecycle.data.data_diff import DataDiff, compare
from kshot.lifecycle.data.dvc_cache import folder_md5, locate
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.at_rest import at_rest
from kshot.lifecycle.sources.classes import of_one_name
from kshot.lifecycle.sources.manifests import with_split
from kshot.lifecycle.sources.source_argument import GLYPHS, check_argument
from kshot.lifecycle.sources.source_images import decoded

FEWEST_CLASSES = 2


@dataclasses.dataclass(frozen=True)
class DataVersion:
    """One version of data/raw. `md5`: DVC's, 32 hex digits; `size`: bytes; `added`: in UTC.

    left_out  the files of the source that were left out, and why, as lines for a person
    address   16 hex digits of the sha256 of the source's absolute path; '' for none, and where nobody recorded it
    base      md5 of the version that this one was made from, by `--extend`, `kshot feedback add-data` or `kshot forget`
    """

    md5: str
    added: str
    images: int
    classes: int
    files: int
    size: int
    source: str
    note: str
    left_out: tuple[str, ...] = ()
    address: str = ""
    base: str = ""

    @property
    def short(self) -> str:
        """The 8 characters shown to a person."""
        return self.md5[:8]


def add(
    root: Path,
    source: str,
    *,
    split: Path | None = None,
    note: str = "",
    seed: int = 0,
    skip: bool = False,
    merge: bool = False,
    extend: bool = False,
    say: Callable[[str], None] = lambda line: None,
    named: str = "",
    base: str = "",
    command: str = "",
) -> DataVersion:
    """Import `source` into data/raw as the current version; the same images always give the same version.

    source  a folder, an archive, a manifest, or "glyphs", which are drawn from `seed`
    split   a CSV of class,split; with `extend` it may leave out classes that are there
    skip    agree to leaving files out
    merge   put together the images of a class from train/ and test/ (`split_folders`)
    extend  keep the images of the current version, which is then the new one's base (`extension`)
    say     called with lines about what was read and what was left out
    named   the source's name in the record, where kshot wrote the source itself; default: that of its file or folder
    base    md5 of the version whose images `source` has, too
    command what was typed, for the remedy that repeats it; default: kshot data add SOURCE

    Raises DataError for a source that cannot be used and, without `skip`, if more than a tenth of its files or a whole
    class is left out; data/raw and data/raw.dvc are then unchanged.
    """
    check_argument(root, source)
    (root / layout.RAW.parent).mkdir(parents=True, exist_ok=True)
    working_copy.mend(root)
    known = {version.md5: version for version in versions(root)}
    refuse_unsaved(root)
    former = extension.current_images(root) if extend else []
    before, there = current(root) if former else None, {image.label for image in former}
    with working_copy.workspace(root) as workspace:
        fresh = workspace / "raw"
        with at_rest(Path(source).expanduser()) if source != GLYPHS else contextlib.nullcontext():
            found = imported_images.read_images(source, workspace / "unpacked", seed, merge=merge, there=there)
            place = imported_images.folder_of(source, workspace / "unpacked")
            if source != GLYPHS:
                found = decoded(found, place)
            if former:
                found = extension.joined(former, found, place)
            if source != GLYPHS or former:
                again = command or f"kshot data add {shlex.quote(source)}{' --extend' if extend else ''}"
                imported_images.report_left_out(found, source, skip, say, again)
            if before is not None and not found.images and split is None:
                return before
            images = [*former, *found.images]
            if split is not None:
                images = with_split(images, split, found.empty, optional=there)
            images = extension.in_splits(images, former, say)
            names = {image.label for image in images}
            for line in of_one_name(names, there) if source != GLYPHS else []:
                say(line)
            if len(names) < FEWEST_CLASSES:
                raise DataError(
                    f"{source} has one class, {min(names)!r}; few-shot episodes need at least {FEWEST_CLASSES} to tell "
                    "apart, and training, validation and test each their own: give one folder a class"
                )
            imported_images.require_training_classes(images, say)
            imported_images.lay_out(images, fresh, own=workspace, kept=root / layout.RAW if former else None)
        with working_copy.replacing(root):
            fresh.rename(root / layout.RAW)
            # Images that were there are linked: DVC would copy every one of them out of its cache again.
            working_copy.dvc(root, "add", *(["--no-relink"] if former else []), str(layout.RAW))
            out = working_copy.tracked(root)
            assert out is not None
            if out.files != len(images) + 1:  # plus the manifest
                raise DataError(
                    f"DVC tracks {out.files} of {len(images) + 1} files; needs all: rename the classes "
                    "that a line of .dvcignore matches, or change that line"
                )
            if out.md5 in known:
                return known[out.md5]
            version = DataVersion(
                md5=out.md5,
                added=datetime.now(UTC).isoformat(timespec="seconds"),
                images=len(images),
                classes=len({image.label for image in images}),
                files=out.files,
                size=out.size,
                source=named or (source if source == GLYPHS else Path(source).name),
                note=note,
                left_out=left_out.reasons(found.left_out, found.empty),
                address="" if named or source == GLYPHS else _address(source),
                base=base or (before.md5 if before is not None else ""),
            )
            enter(root, version)
    return version


def versions(root: Path) -> list[DataVersion]:
    """Every version that was ever added here, oldest first."""
    path = root / layout.VERSIONS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [_entry(line) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again, or delete the broken line") from error


def _entry(line: str) -> DataVersion:
    found = json.loads(line)
    return DataVersion(**{**found, "left_out": tuple(found.get("left_out", ()))})


def current(root: Path) -> DataVersion | None:
    """The version that data/raw.dvc names, None if there is none. One not in the ledger has no note and no date."""
    out = working_copy.tracked(root)
    if out is None:
        return None
    for version in versions(root):
        if version.md5 == out.md5:
            return version
    return DataVersion(out.md5, "", *_count(root), out.files, out.size, "", "")


def find(root: Path, prefix: str) -> DataVersion:
    """The version with this name, or whose md5 starts with `prefix`. Raises DataError that lists the candidates."""
    prefix = data_names.names(root).get(prefix, prefix)
    known = versions(root)
    here = current(root)
    if here is not None and here not in known:
        known.append(here)
    found = [version for version in known if prefix and version.md5.startswith(prefix.removesuffix(".dir"))]
    if len(found) == 1:
        return found[0]
    if not known:
        raise DataError(f"{prefix!r} is no data version here: there is none yet; `kshot data add SOURCE` makes one")
    candidates = ", ".join(version.short for version in found or known)
    what = "stands for several data versions" if found else "is no data version here"
    raise DataError(f"{prefix!r} {what}; needs the start of one of: {candidates}")


def checkout(root: Path, version: DataVersion) -> bool:
    """Restore a version to data/raw and data/raw.dvc, from DVC's cache or, if one is set up, its remote.

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
    with working_copy.replacing(root):
        (root / layout.RAW_DVC).write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False), encoding="utf-8")
        _bring(root, version)
    return True


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


def diff(root: Path, old: DataVersion, new: DataVersion) -> DataDiff:
    """Classes and images that were added, removed, moved or changed from `old` to `new`, by content.

    Raises DataError if the cache no longer has a version's listing.
    """
    with dvc_repository(root) as repo:
        cache = Path(repo.cache.local.path)
    return compare(cache, old.md5, new.md5)


def _address(source: str) -> str:
    """A short hash of the source's path, which distinguishes sources of one name.

    The ledger is in git, so that the path itself, which may name a person or a customer, stays out of it.
    """
    return hashlib.sha256(str(Path(source).expanduser().resolve()).encode(errors="replace")).hexdigest()[:16]


def enter(root: Path, version: DataVersion) -> None:
    """Add a version to the ledger, completely or not at all."""
    ledger = root / layout.VERSIONS
    lines = ledger.read_text(encoding="utf-8") if ledger.exists() else ""
    fields = dataclasses.asdict(version)
    for name in ("left_out", "address", "base"):
        if not fields[name]:  # so that an older kshot reads the line
            del fields[name]
    line = json.dumps(fields, ensure_ascii=False)
    fresh = ledger.with_name(f".{ledger.name}")
    try:
        fresh.write_text(f"{lines}{line}\n", encoding="utf-8")
        fresh.replace(ledger)
    finally:
        fresh.unlink(missing_ok=True)


def _count(root: Path) -> tuple[int, int]:
    manifest = root / layout.RAW / "manifest.csv"
    if not manifest.exists():
        return 0, 0
    import pandas as pd  # here, as above

    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    return len(table), table["class"].nunique()


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
