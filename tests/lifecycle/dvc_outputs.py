"""What `dvc repro` and kshot do around a stage: its output goes to DVC's cache, its parts go, the output is deleted."""

import shutil
from pathlib import Path

from kshot.lifecycle.data.dvc_cache import cache_of, place
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.stages.shards.shard_store import delete_parts


def save(root: Path, stage: str, output: Path) -> None:
    """Put the files of a stage's output into DVC's cache, and delete them as before its next run."""
    for path in (root / output).iterdir():
        target = place(cache_of(root), file_md5(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    delete_parts(root, stage)
    shutil.rmtree(root / output)
