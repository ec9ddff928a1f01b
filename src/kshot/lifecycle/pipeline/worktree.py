"""A retraining in its own git worktree: files that it shares with the project, and files that are copied back.

The worktree is at .kshot/worktree of the project, which is called home here. It shares DVC's cache and remotes,
MLflow's store, the checkpoints and the locks around the registry. It has its own dvc.lock, model/ and reports/, so that
a scheduled retraining changes nothing that a person works with.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import data_names, data_versions
from kshot.lifecycle.data.changes import restore
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.project import git, layout
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.params import project_name, reader, renamed

# Parts of .kshot that both must share. The project's own lock is not one: people continue to work meanwhile.
SHARED_FOLDERS = ("checkpoints",)
SHARED_IF_THERE = ("serve",)  # the galleries that gate.gallery_margin compares
SHARED_FILES = ("registry.lock", "mlflow.lock", "stages.jsonl", "stages.lock")
BROUGHT_BACK = Path("reports/scheduled")  # of home: the last scheduled retraining's report and its inputs


def prepare(home: Path, tree: Path, *, data: str | None, from_commit: bool, sets: Sequence[str]) -> None:
    """Prepare the empty worktree `tree` for a retraining: shared stores, data version, params.

    `data` names a version; None: the commit's version with `from_commit`, else the one that home has now.
    Raises DataError for a version that cannot be found, ParamsError for an invalid line of `sets`.
    """
    share_dvc(home, tree)
    _share_state(home, tree)
    _share_mlruns(home, tree)
    _share_ledger(home, tree)
    _choose_data(home, tree, data, from_commit)
    name = project_name.of(home)  # the commit may be older than the project's name
    named = [f"project={json.dumps(name)}"] if project_name.of(tree) != name else []
    text, changes = settings.plan(tree, sets=[*sets, *named])
    if changes:
        settings.write(tree, text)
    link_weights(home, tree)
    text, changes = settings.plan(tree)
    if changes and changes[0].before is None:  # weights that the commit's params.yaml does not describe
        settings.write(tree, text)


def bring_back(home: Path, tree: Path) -> Path:
    """Copy the run's results to reports/scheduled of home, all or none, and return that folder.

    Copied are the report, dvc.lock, params.yaml, data/raw.dvc, the metrics and the validation of the data. MLflow's run
    has the same for every retraining; the folder has those of the last one, for people who look there.
    """
    place = home / BROUGHT_BACK
    fresh = place.with_name(f".{place.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in (layout.REPORT, layout.METRICS, Path(LOCK_FILE), Path(settings.PARAMS), layout.RAW_DVC):
        if (tree / name).exists():
            shutil.copyfile(tree / name, fresh / name.name)
    if (tree / layout.VALIDATION).exists():
        shutil.copytree(tree / layout.VALIDATION, fresh / layout.VALIDATION.name)
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    return place


def share_dvc(home: Path, tree: Path) -> None:
    """Configure DVC in `tree` to use the cache and the remotes of home; relative paths are relative to home."""
    from dvc.config import Config

    with dvc_repository(home) as repo:
        cache = repo.cache.legacy.path  # the whole folder: `local` is files/md5 in it, without the run cache
        remotes, core = repo.config["remote"], repo.config["core"]
        with Config(str(tree / ".dvc"), validate=False).edit("local", validate=False) as local:
            local.setdefault("cache", {}).update({**repo.config["cache"], "dir": cache})
            local["remote"] = {name: dict(values) for name, values in remotes.items()}
            local["core"] = {key: value for key, value in core.items() if value is not None}


def link_weights(home: Path, tree: Path) -> None:
    """Link the weights file that the params.yaml of `tree` starts from, because it may be in no commit."""
    name = renamed.at(reader.read_mapping(tree / settings.PARAMS), settings.CHECKPOINT)
    if not name or (tree / name).exists() or not (home / name).exists():
        return
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).symlink_to((home / name).resolve())


def _share_state(home: Path, tree: Path) -> None:
    (tree / layout.STATE).mkdir(exist_ok=True)
    for name in (*SHARED_FOLDERS, *SHARED_FILES):
        place = home / layout.STATE / name
        if name in SHARED_FOLDERS:
            place.mkdir(parents=True, exist_ok=True)
        (tree / layout.STATE / name).symlink_to(place.resolve())
    for name in SHARED_IF_THERE:
        if (home / layout.STATE / name).exists():
            (tree / layout.STATE / name).symlink_to((home / layout.STATE / name).resolve())


def _share_mlruns(home: Path, tree: Path) -> None:
    """Replace mlruns/ by a link, and make git ignore that change."""
    tracked = git.text(tree, "ls-files", "-z", "--", str(layout.MLRUNS)).split("\0")
    if any(tracked):
        git.run(tree, "update-index", "--skip-worktree", "--", *filter(None, tracked))
        shutil.rmtree(tree / layout.MLRUNS)
    (home / layout.MLRUNS).mkdir(exist_ok=True)
    (tree / layout.MLRUNS).symlink_to((home / layout.MLRUNS).resolve())


def _share_ledger(home: Path, tree: Path) -> None:
    """Add home's data versions to the worktree's list, because they may not be in any commit yet."""
    (tree / layout.VERSIONS).parent.mkdir(exist_ok=True)  # a commit without data has no such folder
    known = {version.md5 for version in data_versions.versions(tree)}
    for version in data_versions.versions(home):
        if version.md5 not in known:
            data_versions.enter(tree, version)


def _choose_data(home: Path, tree: Path, wanted: str | None, from_commit: bool) -> None:
    if wanted is not None:
        named = data_names.names(home).get(wanted, wanted)
        version: data_versions.DataVersion | None = data_versions.find(tree, named)
    elif from_commit:
        version = data_versions.current(tree) or data_versions.current(home)
    else:
        version = data_versions.current(home) or data_versions.current(tree)
    if version is None:
        raise DataError(
            "there is no data yet; `kshot data add SOURCE` brings your images, `kshot data add glyphs` letters"
        )
    # The commit's data/raw.dvc has no folder here; its version is restored or replaced the same way.
    restore.checkout(tree, version, linked=True)
