"""The inputs of a stage before and after it ran: a file edited meanwhile must not pass for the one that was used.

DVC takes a stage's hashes after its command (its issue 11058) and keeps them in dvc.lock and in its run cache, from
which a later run would restore a result that follows from other files.
"""

import contextlib
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import StageFailed
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.stages import code_read


@dataclasses.dataclass(frozen=True)
class Before:
    """What a stage was about to read: a hash or the values of params by path; dvc.lock then, and when, in seconds."""

    stage: str
    hashes: dict[str, Any]
    lock: bytes | None
    at: float


def take(root: Path, stage: Any) -> Before:
    """Hash what the DVC stage depends on. DVC remembers the hashes of files that have not changed.

    A dependency that is missing is left out; DVC says it better.
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
    """Raise StageFailed where dvc.lock holds other inputs than `before`; the stage then counts as not run.

    `stage` is loaded after the run. The record of what was read with what was written meanwhile is taken back from
    dvc.lock and from the run cache.
    """
    recorded = {dep.def_path: dep.hash_info.value if dep.hash_info else None for dep in stage.deps}
    edited = sorted(name for name, value in before.hashes.items() if recorded.get(name) != value)
    # DVC recorded the code as it was written down before the run; loading `stage` wrote down what it is now.
    code = code_read.place_of(before.stage).as_posix()
    if code in before.hashes:
        edited = [name for name in edited if name != code] + _edited_code(root, before)
    if not edited:
        return
    _take_back(root, stage, before)
    raise StageFailed(
        f"{', '.join(edited)} changed while stage {before.stage} ran, so that its results follow from no version "
        "of it and are not kept: run again and leave the files alone; `kshot schedule` works in its own tree"
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
        # An entry is the stage's part of dvc.lock. One more that goes costs a run, one that stays a wrong result.
        if entry.stat().st_mtime >= before.at - 1 and yaml.safe_load(entry.read_bytes())["cmd"] == stage.cmd:
            entry.unlink()
            with contextlib.suppress(OSError):  # other results of the same inputs may lie beside it
                entry.parent.rmdir()  # an empty one makes DVC fail
