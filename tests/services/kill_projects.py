"""Projects in which `data add`, a watched folder, `prune` and `doctor --mend` are killed, and their state after."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from kshot.flows.schedules.new_data_watch import Watch
from kshot.lifecycle.data import data_versions, dvc_cache, working_copy
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.doctor import copied_state, moved
from kshot.lifecycle.history import history_run
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project import no_telemetry, project_lock, state_place
from kshot.lifecycle.prune import proposal
from kshot.lifecycle.registry import gate_decision
from kshot.lifecycle.sources.manifests import read_manifest
from kshot.lifecycle.tracking import store
from tests.lifecycle import raw_project, registered_versions
from tests.lifecycle.pipeline.test_schedule import ALL
from tests.lifecycle.prune import test_prune
from tests.lifecycle.registered_versions import judgement

SOURCE = "brought"  # in the project that is killed while it adds it


def write(folder: Path) -> None:
    """Make the templates: `data` has one data version, `prunable` what version 2 alone needs, `placed` a schedule."""
    data = raw_project.make(folder / "data")
    add_version.add(data, str(raw_project.write_tree(folder / "one", {"a": 2, "b": 2})))
    raw_project.write_tree(data / SOURCE, {"a": 3, "c": 1})
    write_prunable(folder / "prunable", folder / "scratch")
    placed = registered_versions.write(folder / "placed", count=2)
    gate_decision.record_decision(placed, "1", judgement(True), "r")
    (placed / no_telemetry.PREFECT_HOME).mkdir(parents=True)
    (placed / no_telemetry.PREFECT_HOME / "prefect.db").write_text("planned runs of the original")
    schedule.write(placed, ALL)
    state_place.remember(placed)


def write_prunable(root: Path, scratch: Path) -> None:
    """Version 1 is champion; 2, of other data, was refused; 3 is challenger."""
    scratch.mkdir()
    raw_project.make(root)
    data = [test_prune.keep_folder(root, {"a/0.png": b"shared", "a/1.png": b"image %d" % one}) for one in range(2)]
    data = [md5.removesuffix(".dir") for md5 in data]
    for md5 in data:
        (root / "data").mkdir(exist_ok=True)
        data_versions.enter(root, DataVersion(md5, "2026-01-01", 2, 1, 2, 2, "a folder", ""))
    where = store.connect(root)
    history_run.begin(store.client(), root, where)
    for number, place in ((1, 0), (2, 1), (3, 0)):
        test_prune.registered(root, number, data[place], scratch)
    for version, promote, champion in (("1", True, None), ("2", False, "1"), ("3", False, "1")):
        gate_decision.record_decision(root, version, judgement(promote, champion), "r")
    for command in (["add", "."], ["commit", "-qm", "one"]):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)


def copied(template: Path, root: Path) -> Path:
    """A copy as `cp -a` makes it."""
    return Path(shutil.copytree(template, root, symlinks=True))


def copied_and_mended(template: Path, root: Path) -> Path:
    copied(template, root)
    moved.rewrite(root, (template / store.ARTIFACTS).resolve())
    return root


def add(root: Path) -> None:
    with project_lock.hold(root, "kshot data add"):
        add_version.add(root, str(root / SOURCE))


def watch(root: Path) -> None:
    """Extend the data as `kshot schedule --on-new-data SOURCE --extend` does at its second look."""
    watched = Watch(root, lambda line: None)
    for _ in range(2):
        watched.add(root / SOURCE, extend=True)


def prune(root: Path) -> None:
    proposal.delete(root, proposal.propose(root))


def mend(root: Path) -> None:
    for finding in (*copied_state.findings(root), *moved.findings(root)):
        if finding.by_itself is not None:
            finding.by_itself()


def look_at_data(root: Path) -> dict[str, Any]:
    """The versions of the ledger, whether data/raw is the last of them, and what a kill left beside it."""
    now, known = working_copy.tracked(root), data_versions.versions(root)
    left = [path.name for path in (root / "data").iterdir() if path.name.startswith(".") and path.name != ".gitignore"]
    whole = (root / "data/raw").is_dir() and working_copy.is_current(root)
    return {"versions": len(known), "last": bool(now and now.md5 == known[-1].md5 and whole), "left": left}


def look_at_watched(root: Path) -> dict[str, Any]:
    """`look_at_data`, the images of each class, and the place in the ledger of each version that is to be retrained."""
    images, _ = read_manifest(root / "data/raw/manifest.csv")
    known = [version.md5 for version in data_versions.versions(root)]
    seen = [known.index(version.md5) + 1 for version in new_data.read(root).versions]
    return {**look_at_data(root), "images": Counter(image.label for image in images), "seen": seen}


def look_at_pruned(root: Path) -> dict[str, Any]:
    """What is still to be deleted, and the champion's and challenger's files that are gone, which none may be."""
    needed = {md5 for number in (1, 3) for md5 in _needed(root, number)}
    gone = [md5 for md5 in sorted(needed) if not (root / test_prune.CACHE / md5[:2] / md5[2:]).exists()]
    weights = sorted(path.read_text() for path in (root / store.ARTIFACTS).rglob("embedding.safetensors"))
    return {"items": len(proposal.propose(root).items), "gone": gone, "weights": weights}


def _needed(root: Path, number: int) -> set[str]:
    md5 = data_versions.versions(root)[0].md5
    stage = yaml.safe_load(test_prune.locked(root, number, md5))["stages"]["train"]
    found = {str(one["md5"]) for one in (*stage["deps"], *stage["outs"]) if one["md5"].endswith(".dir")}
    return found | {str(one["md5"]) for oid in found for one in dvc_cache.listing(root, oid)}


def look_at_copy(root: Path) -> dict[str, Any]:
    """What the doctor still finds, the schedule, and where Prefect's database went."""
    aside = [path.read_text() for path in (root / ".kshot").rglob("prefect.db")]
    found = len(copied_state.findings(root)) + len(moved.findings(root))
    return {"found": found, "schedule": schedule.read(root) is not None, "aside": aside}
