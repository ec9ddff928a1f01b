"""Compares a stage's inputs before and after its run, so that a file edited meanwhile is not recorded as the one used.

DVC takes a stage's hashes after its command (its issue 11058) and stores them in dvc.lock and in its run cache. A later
run would restore from there a result that was computed from other files.
"""

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from kshot.errors import StageFailed
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.stages import code_read
from kshot.load_yaml import load_yaml


@dataclasses.dataclass(frozen=True)
class Before:
    """A stage's inputs before it runs: hash or params by path, the bytes of dvc.lock, and the time in seconds."""

    stage: str
    hashes: dict[str, Any]
    lock: bytes | None
    at: float


def take(root: Path, stage: Any) -> Before:
    """Hash the dependencies of the DVC stage. DVC caches the hashes of files that have not changed.

    A missing dependency is left out, because DVC's own message about it is better.
    """
    from dvc.dependency.base import DependencyDoesNotExistError
    from dvc.dependency.param import MissingParamsError

    hashes = {}
    for dep in stage.deps:
        with contextlib.suppress(DependencyDoesNotExistError, MissingParamsError):
            hashes[dep.def_path] = dep.get_hash().value
    path = root / LOCK_FILE
    return Before(stage.name, hashes, path.read_bytes() if path.exists() else None, time.time())


def compare(root: Path, stage: Any, before: Before) -> None:
    """Raise StageFailed if dvc.lock has other inputs than `before`; the stage then counts as not run.

    `stage` is loaded after the run. The record that pairs the edited inputs with these outputs is removed from dvc.lock
    and from the run cache.
    """
    recorded = {dep.def_path: dep.hash_info.value if dep.hash_info else None for dep in stage.deps}
    edited = sorted(name for name, value in before.hashes.items() if recorded.get(name) != value)
    # DVC recorded the code's fingerprint from before the run; loading `stage` updated the fingerprint.
    code = code_read.place_of(before.stage).as_posix()
    if code in before.hashes:
        edited = [name for name in edited if name != code] + _edited_code(root, before)
    if not edited:
        return
    _take_back(root, stage, before)
    raise StageFailed(
        f"{', '.join(edited)} changed while stage {before.stage} ran, so its results were "
        "discarded: run again without editing these files; `kshot schedule` works in its own tree"
    )


def _edited_code(root: Path, before: Before) -> list[str]:
    path = code_read.place_of(before.stage)
    then, now = before.hashes[path.as_posix()], json.loads((root / path).read_text(encoding="utf-8"))
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def _take_back(root: Path, stage: Any, before: Before) -> None:
    if before.lock is None:
        (root / LOCK_FILE).unlink(missing_ok=True)
    else:
        (root / LOCK_FILE).write_bytes(before.lock)
    for entry in Path(stage.repo.stage_cache.cache_dir).glob("*/*/*"):
        # An entry is the stage's part of dvc.lock. Deleting one too many costs a run; leaving one gives a wrong result.
        if entry.stat().st_mtime >= before.at - 1 and load_yaml(entry.read_bytes())["cmd"] == stage.cmd:
            entry.unlink()
            with contextlib.suppress(OSError):  # other results of the same inputs may be next to it
                entry.parent.rmdir()  # an empty folder makes DVC fail
