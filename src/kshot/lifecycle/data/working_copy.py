"""Changes data/raw and data/raw.dvc together or not at all, even if the change is killed halfway."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import yaml

from kshot import full_disk
from kshot.errors import Busy, DataError
from kshot.lifecycle.data import erasures
from kshot.lifecycle.data.dvc_cache import folder_md5
from kshot.lifecycle.project import git, layout
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.load_yaml import load_yaml

# During a change this folder contains the previous state; if it exists, the change must be undone.
JOURNAL = layout.RAW.with_name(".before")
NOTHING = "nothing"  # marker file in it: there was no data/raw
WORKSPACES = ".incoming-"
# DVC's messages, as of 3.67; of another one the last line is shown.
ERROR = "ERROR: "
NOT_STORED = "ERROR: failed to transfer"  # of a file that found no place in the cache; DVC ends with 0 all the same
BLOCKED = re.compile(r"is busy, it is being blocked by:\s*\(PID (\d+)\)")


class Tracked(NamedTuple):
    """The entry of data/raw.dvc: DVC's md5 without .dir, bytes, files."""

    md5: str
    size: int
    files: int


def tracked(root: Path) -> Tracked | None:
    """The version that data/raw.dvc names, None if there is none. Raises DataError for a damaged file."""
    path = root / layout.RAW_DVC
    if not path.exists():
        return None
    try:
        out = load_yaml(path.read_text(encoding="utf-8"))["outs"][0]
        return Tracked(out["md5"].removesuffix(".dir"), out["size"], out.get("nfiles", 1))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error!r}); take it from git again, or add the data again") from error


def is_current(root: Path) -> bool:
    """Whether data/raw is the version that data/raw.dvc names, according to DVC.

    Asked in this process: a process of DVC's own takes half a second to start, and a command asks several times.
    """
    from dvc.exceptions import DvcException

    with suppress(DvcException), dvc_repository(root) as repo:
        return not repo.status(targets=[str((root / layout.RAW_DVC).resolve())])
    return not json.loads(dvc(root, "status", "--json", str(layout.RAW_DVC)))  # which reports what is wrong


def is_whole(root: Path, md5: str) -> bool:
    """Whether data/raw equals data version `md5` byte for byte; it reads every file."""
    raw = root / layout.RAW
    now = tracked(root)
    if now is None or now.md5 != md5 or not raw.exists():
        return False
    files = [path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()]
    return len(files) == now.files and folder_md5(raw, files) == f"{md5}.dir"


def stored_again(root: Path) -> bool:
    """Store data/raw in DVC's cache again if it is the version that data/raw.dvc names and the cache lost a part of it.

    Returns whether it is that version. Erased images are not stored again.
    """
    now = tracked(root)
    if now is None or not is_whole(root, now.md5) or erasures.of_version(root, now.md5):
        return False
    dvc(root, "add", str(layout.RAW))
    return True


def refuse_unsaved(root: Path) -> None:
    """Raise DataError if data/raw contains something that is in no data version and would be lost.

    After a change of branch it may be the other branch's data. The message therefore suggests nothing that would turn
    it into this branch's data unseen, as `dvc add data/raw` would.
    """
    raw = root / layout.RAW
    if not raw.exists():
        return
    now = tracked(root)
    if now is None:
        raise DataError(
            f"{layout.RAW} is in no data version, and this branch names none; move it away (mv {layout.RAW} FOLDER), "
            "and where it is this branch's data: kshot data add FOLDER"
        )
    if not is_current(root) and not stored_again(root):
        restore = f"kshot data restore {now.md5[:8]}"
        raise DataError(
            f"{layout.RAW} holds changes that are in no data version, or another branch's data; move it away "
            f"(mv {layout.RAW} FOLDER), then {restore}, and where the changes belong to this branch: "
            f"kshot data add FOLDER; to drop them: dvc checkout --force {layout.RAW_DVC}"
        )


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """A temporary folder on the same disk as data/raw."""
    with tempfile.TemporaryDirectory(prefix=WORKSPACES, dir=root / layout.RAW.parent) as name:
        yield Path(name)


@contextmanager
def replacing(root: Path) -> Iterator[None]:
    """Move data/raw away for a block that writes a new one; restore it if the block fails or is killed.

    After a kill, the next `mend` undoes the block's changes.
    """
    raw, pointer, journal = root / layout.RAW, root / layout.RAW_DVC, root / JOURNAL
    prepared = Path(tempfile.mkdtemp(prefix=WORKSPACES, dir=raw.parent))
    if pointer.exists():
        shutil.copyfile(pointer, prepared / pointer.name)
    if not raw.exists():
        (prepared / NOTHING).touch()
    prepared.rename(journal)  # from here on, a failure must be undone
    try:
        if raw.exists():
            raw.rename(journal / raw.name)
        yield
    except BaseException:
        mend(root)
        raise
    _discard(journal)


def mend(root: Path) -> None:
    """Undo a change that was killed halfway, and delete its leftovers."""
    raw, pointer, journal = root / layout.RAW, root / layout.RAW_DVC, root / JOURNAL
    if journal.exists():
        # A kill during any step is harmless: starting again gives the same result.
        before = journal / raw.name
        if before.exists() or (journal / NOTHING).exists():
            shutil.rmtree(raw, ignore_errors=True)
        if before.exists():
            before.rename(raw)
        if (journal / pointer.name).exists():
            shutil.copyfile(journal / pointer.name, pointer)
        else:
            pointer.unlink(missing_ok=True)
        _discard(journal)
    for left in raw.parent.glob(f"{WORKSPACES}*"):
        shutil.rmtree(left, ignore_errors=True)


def dvc(root: Path, *arguments: str) -> str:
    """Run DVC in the project and return its output; not with its option --quiet, which hides the reason of a failure.

    Raises DataError with DVC's own reason, and Busy while another DVC command works with the same files.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode or NOT_STORED in ended.stderr:
        reason = _reason(ended.stderr)
        if blocked := BLOCKED.search(ended.stderr):
            raise Busy(
                f"another DVC command (process {blocked[1]}) works with {layout.RAW}; run the same command again "
                "when it has ended"
            )
        if full_disk.says_full(reason):
            at = f" at {place}" if (place := full_disk.place_in(reason)) else ""
            raise DataError(f"the disk is full{at} (dvc {arguments[0]}); free some space and run it again")
        if not reason or "not a git repository" in reason:  # DVC names no remedy, or nothing at all; git does
            git.text(root, "rev-parse", "--git-dir")
        raise DataError(f"dvc {arguments[0]} failed: {reason or ended.returncode}; mend that and run again")
    return ended.stdout


def _reason(stderr: str) -> str:
    """DVC's reason for a failure, in one line without its links; '' if it gives none."""
    lines = stderr.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(ERROR)), len(lines) - 1)
    last = first + 1 if any(line.startswith(NOT_STORED) for line in lines[first : first + 1]) else None  # of thousands
    printed = [line for line in lines[max(first, 0) : last] if "https://" not in line]
    return " ".join(" ".join(printed).replace(ERROR, "").split()).rstrip(".")


def _discard(journal: Path) -> None:
    """Invalidate the journal atomically, then delete it."""
    done = Path(tempfile.mkdtemp(prefix=WORKSPACES, dir=journal.parent))
    journal.rename(done)
    shutil.rmtree(done, ignore_errors=True)
