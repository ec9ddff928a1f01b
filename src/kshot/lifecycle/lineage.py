"""Where a model comes from: data version, code, params, stages, episodes, machine."""

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import RegistryError
from kshot.lifecycle import dataset, layout
from kshot.lifecycle.inputs import LOCK_FILE as LOCK_FILE

# What kshot itself writes in a commit's tree; the record holds these files, so that they do not make a tree dirty.
OWN_FILES = (
    LOCK_FILE,
    layout.RAW_DVC.as_posix(),
    layout.VERSIONS.as_posix(),
    layout.NAMES.as_posix(),
    f"{layout.RAW.parent}/.gitignore",
)
# Where Linux and the driver of NVIDIA's cards name what computes; elsewhere these are not there.
PROCESSOR, ACCELERATORS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/gpus")
LARGEST_NEW_FILE = 1 << 20  # bytes; what is larger is no code


@dataclass(frozen=True)
class Lineage:
    """What the results of the stages as they stand follow from.

    `key` is a hash over each stage's command, inputs and params, and not over outputs, which hold timings: equal
    inputs have an equal key. Hashes are sha256, cut to 16 hex digits; `data_version` is DVC's md5.
    """

    key: str
    data_version: str
    git_commit: str
    git_dirty: bool
    params_hash: str
    dvc_lock_hash: str
    episodes_hash: str
    device: str

    def tags(self) -> dict[str, str]:
        """As the tags of a run and of a registered version."""
        values = {
            "lineage": self.key,
            "data_version": self.data_version,
            "git_commit": self.git_commit,
            "git_dirty": str(self.git_dirty).lower(),
            "params_hash": self.params_hash,
            "dvc_lock_hash": self.dvc_lock_hash,
            "episodes_hash": self.episodes_hash,
            "device": self.device,
        }
        return {f"kshot.{name}": value for name, value in values.items()}


def lineage(root: Path) -> Lineage:
    """The lineage of the stages that dvc.lock says were run. Raises RegistryError where none were."""
    path = root / LOCK_FILE
    if not path.exists():
        raise RegistryError(f"{path} is missing, so no stage was run; run `kshot retrain`, or `dvc repro`")
    stages = _stages(path)
    commit, dirty = git_state(root)
    version = dataset.current(root)
    return Lineage(
        key=digest({name: stage_inputs(stage) for name, stage in stages.items()}),
        data_version=version.md5 if version else "",
        git_commit=commit,
        git_dirty=dirty,
        params_hash=digest({name: stage.get("params", {}) for name, stage in stages.items()}),
        dvc_lock_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        episodes_hash=_output(stages, layout.EPISODES.as_posix()),
        device=device(root),
    )


def git_state(root: Path) -> tuple[str, bool]:
    """The commit that is checked out, and whether the tree holds changes that no commit has; ("", True) without one.

    New files count where they are code; dvc.lock and the data's version, which a retraining writes, do not count.
    """
    commit = _git(root, "rev-parse", "HEAD").strip()
    if not commit:
        return "", True
    others = [f":(exclude){name}" for name in OWN_FILES]
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *others)
    return commit, bool(changed.strip()) or bool(_new_files(root))


def git_difference(root: Path) -> str:
    """The difference of the tree from its commit as a patch, new code included; '' where nothing differs."""
    new = "".join(
        # Outside the index there is nothing to compare with: git tells that by its exit code, and prints the patch.
        _git(root, "diff", "--binary", "--no-index", "--", "/dev/null", name, fine=(0, 1))
        for name in _new_files(root)
    )
    return _git(root, "diff", "--binary", "HEAD", "--", ".") + new


def _new_files(root: Path) -> list[str]:
    """Code that git neither tracks nor ignores."""
    found = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "src", "flows", "*.py", "*.yaml")
    names = [name for name in found.split("\0") if name]
    return [name for name in names if (root / name).stat().st_size <= LARGEST_NEW_FILE]


def environment() -> dict[str, Any]:
    """The installed packages with their versions, the interpreter, the system, its processors and its threads."""
    packages = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": _named(PROCESSOR, "model name") or platform.processor(),
        "accelerators": [_named(path, "Model") for path in sorted(ACCELERATORS.glob("*/information"))],
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "packages": dict(sorted(packages.items(), key=lambda pair: pair[0].lower())),
    }


def _named(path: Path, key: str) -> str:
    """The first value of `key` in a file of lines `key : value`, '' without one."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def device(root: Path) -> str:
    """What the training ran on, as the model's settings tell; '' where they do not."""
    path = root / layout.MODEL / "embedding.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("device", "")) if path.exists() else ""


def ingested(root: Path) -> str:
    """The data version that data/packed was made from, as dvc.lock says; '' where it says nothing."""
    path = root / LOCK_FILE
    stages = _stages(path) if path.exists() else {}
    deps = [dep for stage in stages.values() for dep in stage.get("deps", [])]
    found = (dep.get("md5", "") for dep in deps if dep["path"] == layout.RAW.as_posix())
    return str(next(found, "")).removesuffix(".dir")


def _stages(path: Path) -> dict[str, Any]:
    try:
        stages: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RegistryError(f"{path} is damaged; take it from git again, or remove it and run again") from error
    return stages


def stage_inputs(stage: dict[str, Any]) -> dict[str, Any]:
    """What the results of a stage of dvc.lock follow from; the lineage's key is the `digest` of those of all stages."""
    deps = {dep["path"]: dep.get("md5", "") for dep in stage.get("deps", [])}
    return {"cmd": stage["cmd"], "deps": deps, "params": stage.get("params", {})}


def _output(stages: dict[str, Any], path: str) -> str:
    return next((out["md5"] for stage in stages.values() for out in stage.get("outs", []) if out["path"] == path), "")


def digest(value: object) -> str:
    """16 hex digits that stand for a value of plain JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _git(root: Path, *arguments: str, fine: tuple[int, ...] = (0,)) -> str:
    """What a git command prints; '' where it fails, where `root` is no repository and where there is no git."""
    try:
        ended = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError:
        return ""
    return ended.stdout if ended.returncode in fine else ""
