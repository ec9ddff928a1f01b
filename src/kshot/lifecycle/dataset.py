"""Versions of the data: what was brought in, tracked by DVC, whose md5 of data/raw is the data version."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml

from kshot.errors import DataError
from kshot.lifecycle import layout
from kshot.lifecycle.data_diff import DataDiff, compare
from kshot.lifecycle.sources import Picture, read_source, with_split

GLYPHS = "glyphs"


@dataclasses.dataclass(frozen=True)
class DataVersion:
    """One version of data/raw. `md5` is DVC's, 32 hex digits; size in bytes; `added` in UTC."""

    md5: str
    added: str
    images: int
    classes: int
    files: int
    size: int
    source: str
    note: str

    @property
    def short(self) -> str:
        """The 8 characters that a person is shown."""
        return self.md5[:8]


def add(root: Path, source: str, *, split: Path | None = None, note: str = "", seed: int = 0) -> DataVersion:
    """Bring `source` to data/raw as the current version; the same images again are the same version.

    `source` is a folder, an archive, a manifest, or "glyphs", drawn from `seed`; `split` a CSV of class,split. Raises
    DataError for a source that cannot be used; data/raw and data/raw.dvc are then as they were.
    """
    (root / layout.RAW.parent).mkdir(parents=True, exist_ok=True)
    _mend(root)
    with _workspace(root) as workspace:
        pictures = _pictures(source, workspace / "unpacked", seed)
        if split is not None:
            pictures = with_split(pictures, split)
        fresh = workspace / "raw"
        _lay_out(pictures, fresh)
        with _replacing(root, fresh):
            _dvc(root, "add", "--quiet", str(layout.RAW))
            out = _tracked(root)
    assert out is not None
    known = {version.md5: version for version in versions(root)}
    if out.md5 in known:
        return known[out.md5]
    version = DataVersion(
        md5=out.md5,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        images=len(pictures),
        classes=len({picture.label for picture in pictures}),
        files=out.files,
        size=out.size,
        source=source if source == GLYPHS else Path(source).name,
        note=note,
    )
    with (root / layout.VERSIONS).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(dataclasses.asdict(version), ensure_ascii=False) + "\n")
    return version


def versions(root: Path) -> list[DataVersion]:
    """Every version that was ever added here, oldest first."""
    path = root / layout.VERSIONS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return [DataVersion(**json.loads(line)) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again, or delete the broken line") from error


def current(root: Path) -> DataVersion | None:
    """The version that data/raw.dvc names, None without one. What the ledger does not know has no note and no date."""
    out = _tracked(root)
    if out is None:
        return None
    for version in versions(root):
        if version.md5 == out.md5:
            return version
    return DataVersion(out.md5, "", *_count(root), out.files, out.size, "", "")


def find(root: Path, prefix: str) -> DataVersion:
    """The one version whose md5 starts with `prefix`. Raises DataError listing the candidates."""
    known = versions(root)
    here = current(root)
    if here is not None and here not in known:
        known.append(here)
    found = [version for version in known if prefix and version.md5.startswith(prefix.removesuffix(".dir"))]
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(version.short for version in found or known) or "none yet: `kshot data add SOURCE` makes one"
    what = "stands for several data versions" if found else "is no data version here"
    raise DataError(f"{prefix!r} {what}; needs the start of one of: {candidates}")


def checkout(root: Path, version: DataVersion) -> None:
    """Make data/raw and data/raw.dvc that version, from DVC's cache or, where one is set up, its remote.

    Raises DataError where data/raw holds changes that no version has, and where the content is not to be had; nothing
    is changed then.
    """
    path = root / layout.RAW_DVC
    here = _tracked(root)
    if here is not None and here.md5 == version.md5 and (root / layout.RAW).exists():
        return
    if (
        here is not None
        and (root / layout.RAW).exists()
        and json.loads(_dvc(root, "status", "--json", str(layout.RAW_DVC)))
    ):
        raise DataError(
            f"{layout.RAW} holds changes that are in no data version; move them away, "
            f"or drop them with `dvc checkout --force {layout.RAW_DVC}`"
        )
    before = path.read_bytes() if path.exists() else None
    out = {"md5": f"{version.md5}.dir", "size": version.size, "nfiles": version.files, "hash": "md5", "path": "raw"}
    path.write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False), encoding="utf-8")
    try:
        _bring(root, version)
    except BaseException:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
            _dvc(root, "checkout", "--quiet", "--force", str(layout.RAW_DVC))
        raise


def diff(root: Path, old: DataVersion, new: DataVersion) -> DataDiff:
    """Which classes and images came, went, moved or changed from `old` to `new`, by content.

    Raises DataError where the cache no longer holds a version's listing.
    """
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        cache = Path(repo.cache.local.path)
    return compare(cache, old.md5, new.md5)


def _pictures(source: str, unpacked: Path, seed: int) -> list[Picture]:
    if source == GLYPHS:
        from kshot.glyphs import draw

        draw(unpacked, seed=seed)
        return read_source(unpacked, unpacked)
    return read_source(Path(source).expanduser(), unpacked)


def _lay_out(pictures: list[Picture], fresh: Path) -> None:
    """Copy the pictures to fresh/images/<class>/ and write fresh/manifest.csv, the same bytes for the same pictures."""
    rows, taken = [], set()
    for picture in pictures:
        name, number = picture.file.name, 1
        while (target := f"images/{picture.label}/{name}") in taken:
            number += 1
            name = f"{picture.file.stem}-{number}{picture.file.suffix}"
        taken.add(target)
        place = fresh / target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture.file, place)
        rows.append((target, picture.label, picture.group, picture.split))
    table = pd.DataFrame(sorted(rows), columns=["path", "class", "group", "split"])
    table.to_csv(fresh / "manifest.csv", index=False, lineterminator="\n")


@contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    """A folder on the same disk as data/raw, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=root / layout.RAW.parent) as name:
        yield Path(name)


@contextmanager
def _replacing(root: Path, fresh: Path) -> Iterator[None]:
    """Put `fresh` in the place of data/raw; if the block fails, data/raw and data/raw.dvc are again what they were."""
    raw, pointer = root / layout.RAW, root / layout.RAW_DVC
    old, old_pointer = raw.with_name(".raw-before"), raw.with_name(".raw-before.dvc")
    if pointer.exists():
        shutil.copyfile(pointer, old_pointer)
    if raw.exists():
        raw.rename(old)
    try:
        fresh.rename(raw)
        yield
    except BaseException:
        shutil.rmtree(raw, ignore_errors=True)
        pointer.unlink(missing_ok=True)
        _mend(root)
        raise
    old_pointer.unlink(missing_ok=True)
    shutil.rmtree(old, ignore_errors=True)


def _mend(root: Path) -> None:
    """Undo an `add` that was killed half-way."""
    raw, pointer = root / layout.RAW, root / layout.RAW_DVC
    old, old_pointer = raw.with_name(".raw-before"), raw.with_name(".raw-before.dvc")
    if old_pointer.exists():
        old_pointer.replace(pointer)
        if old.exists():
            shutil.rmtree(raw, ignore_errors=True)
    if old.exists() and not raw.exists():
        old.rename(raw)
    shutil.rmtree(old, ignore_errors=True)
    for left in raw.parent.glob(".incoming-*"):
        shutil.rmtree(left, ignore_errors=True)


class _Tracked(NamedTuple):
    """What data/raw.dvc says; md5 without .dir."""

    md5: str
    size: int
    files: int


def _tracked(root: Path) -> _Tracked | None:
    path = root / layout.RAW_DVC
    if not path.exists():
        return None
    try:
        out = yaml.safe_load(path.read_text(encoding="utf-8"))["outs"][0]
        return _Tracked(out["md5"].removesuffix(".dir"), out["size"], out.get("nfiles", 1))
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error!r}); take it from git again, or add the data again") from error


def _count(root: Path) -> tuple[int, int]:
    manifest = root / layout.RAW / "manifest.csv"
    if not manifest.exists():
        return 0, 0
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    return len(table), table["class"].nunique()


def _bring(root: Path, version: DataVersion) -> None:
    try:
        _dvc(root, "checkout", "--quiet", "--force", str(layout.RAW_DVC))
    except DataError as missing:
        try:
            _dvc(root, "pull", "--quiet", "--force", str(layout.RAW_DVC))
        except DataError:
            raise DataError(
                f"the content of data version {version.short} is neither in DVC's cache nor in a remote; "
                f"add it again from {version.source or 'its source'}"
            ) from missing


def _dvc(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        told = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ended.stderr.splitlines()[
            -1:
        ]
        raise DataError(f"dvc {arguments[0]} failed: {' '.join(told) or ended.returncode}; mend that and run again")
    return ended.stdout
