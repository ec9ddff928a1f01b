"""The origin of a model: data version, code, params, stages, episodes, machine."""

import functools
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import RegistryError
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.project import git, layout
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.lifecycle.tracking import installed, plugin_code, uncommitted
from kshot.load_yaml import load_yaml

# Files in which Linux and NVIDIA's driver name the hardware; they do not exist elsewhere.
PROCESSOR, ACCELERATORS = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/gpus")
UNRECORDED = "kshot.unrecorded"  # tag of a model that a person allowed without a commit: git's reason


@dataclass(frozen=True)
class Code:
    """The state of a working tree in git: its commit, and whether it has uncommitted changes.

    `unrecorded`: why there is no commit ('' if there is one); a champion then needs a person's permission.
    """

    commit: str
    dirty: bool
    unrecorded: str = ""

    def tags(self) -> dict[str, str]:
        """The tags of a run and of a registered version."""
        found = {"kshot.git_commit": self.commit, "kshot.git_dirty": str(self.dirty).lower()}
        return {**found, UNRECORDED: self.unrecorded} if self.unrecorded else found


@dataclass(frozen=True)
class Lineage:
    """Everything that determines the current results of the stages.

    `key` is a hash over each stage's command, inputs and params. Outputs are not included, because they contain
    timings: equal inputs have an equal key. Hashes are sha256, cut to 16 hex digits; `data_version` is DVC's md5.
    """

    key: str
    data_version: str
    code: Code
    params_hash: str
    dvc_lock_hash: str
    episodes_hash: str
    device: str
    processes: str = ""
    package: installed.Package = installed.UNKNOWN
    plugins: Mapping[str, installed.Package] = field(default_factory=dict)

    def tags(self) -> dict[str, str]:
        """The tags of a run and of a registered version."""
        values = {
            "lineage": self.key,
            "data_version": self.data_version,
            "params_hash": self.params_hash,
            "dvc_lock_hash": self.dvc_lock_hash,
            "episodes_hash": self.episodes_hash,
            "device": self.device,
        }
        ours = {f"kshot.{name}": value for name, value in values.items()}
        if self.processes:
            ours["kshot.processes"] = self.processes
        return {**ours, **self.code.tags(), **self.package.tags(), **installed.plugin_tags(self.plugins)}


def lineage(root: Path, code: Code | None = None) -> Lineage:
    """The lineage of the stages that were run according to dvc.lock. Raises RegistryError if there are none.

    `code`: the code that was checked out when they began; None: the current code.
    """
    path = root / LOCK_FILE
    if not path.exists():
        raise RegistryError(f"{path} is missing, so no stage was run; run `kshot retrain`, or `dvc repro`")
    stages = _stages(path)
    version = data_versions.current(root)
    names = [name for stage in stages.values() for name in code_files(stage)]
    return Lineage(
        key=digest({name: stage_inputs(stage) for name, stage in stages.items()}),
        data_version=version.md5 if version else "",
        code=code or code_state(root),
        params_hash=digest({name: chosen_params(stage) for name, stage in stages.items()}),
        dvc_lock_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        episodes_hash=_output(stages, layout.EPISODES.as_posix()),
        device=device(root),
        processes=processes(root),
        package=installed.package(names),
        plugins=installed.plugins(names),
    )


def code_state(root: Path) -> Code:
    """The code checked out at `root` now; if git cannot say, `unrecorded` is its reason."""
    try:
        commit, dirty = git_state(root)
    except git.GitFailed as error:
        return Code("", True, str(error))
    return Code(commit, dirty, "" if commit else f"{root} has no commit yet; run `git add . && git commit`")


def require_recorded(code: Code, allowed: bool) -> None:
    """Raise RegistryError if the code has no commit, unless a person allowed that."""
    if code.unrecorded and not allowed:
        raise RegistryError(
            f"the code of this retraining cannot be recorded: {code.unrecorded}; "
            "or continue with --allow-unrecorded, and its audit will say that the code is unknown"
        )


def git_state(root: Path) -> tuple[str, bool]:
    """The commit that is checked out, and whether the tree has uncommitted changes; ("", True) without a commit.

    New files count if they are code; dvc.lock and the data version, which a retraining writes, do not count.
    Raises GitFailed if git cannot say.
    """
    commit = git.commit(root)
    if not commit:
        return "", True
    return commit, uncommitted.is_dirty(root)


def environment() -> dict[str, Any]:
    """The installed packages and their versions, interpreter, system, processors and threads."""
    packages = _packages(tuple(sys.path))
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


@functools.cache
def _packages(_places: tuple[str, ...]) -> dict[str, str]:
    """The version of each installed distribution; hundreds of files, which are read once for each `sys.path`."""
    described = [one.metadata for one in metadata.distributions()]
    return {one["Name"]: one["Version"] for one in described}


def _named(path: Path, key: str) -> str:
    """The first value of `key` in a file with lines `key : value`, '' if there is none."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def device(root: Path) -> str:
    """The device that the training ran on, from the model's settings; '' if they do not say."""
    path = root / layout.MODEL / "embedding.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("device", "")) if path.exists() else ""


def processes(root: Path) -> str:
    """How many processes the training ran in, from the model's settings; '' for one."""
    path = root / layout.MODEL / "embedding.json"
    return str(json.loads(path.read_text(encoding="utf-8")).get("processes", "")) if path.exists() else ""


def machine(device: str, processes: str) -> str:
    """A device and a number of processes as text: "cuda, 4 processes"; the device alone for one process."""
    return f"{device}, {processes} processes" if processes else device


def ingested(root: Path) -> str:
    """The data version that data/packed was made from, according to dvc.lock; '' if it has none."""
    path = root / LOCK_FILE
    stages = _stages(path) if path.exists() else {}
    deps = [dep for stage in stages.values() for dep in stage.get("deps", [])]
    found = (dep.get("md5", "") for dep in deps if dep["path"] == layout.RAW.as_posix())
    return str(next(found, "")).removesuffix(".dir")


def _stages(path: Path) -> dict[str, Any]:
    try:
        stages: dict[str, Any] = load_yaml(path.read_text(encoding="utf-8"))["stages"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RegistryError(f"{path} is damaged; take it from git again, or remove it and run again") from error
    return stages


def stage_inputs(stage: dict[str, Any]) -> dict[str, Any]:
    """Everything that determines a stage's results, from dvc.lock; the lineage's key is the `digest` of all stages'."""
    deps = {dep["path"]: dep.get("md5", "") for dep in stage.get("deps", [])}
    return {"cmd": stage["cmd"], "deps": deps, "params": stage.get("params", {})}


def recorded_params(root: Path, stage: str, name: str) -> dict[str, Any]:
    """The params of the file `name` that dvc.lock records for a stage, by dotted key; {} if it records none."""
    path = root / LOCK_FILE
    found = (_stages(path) if path.exists() else {}).get(stage, {})
    return dict(found.get("params", {}).get(name) or {})


def chosen_params(stage: dict[str, Any]) -> dict[str, Any]:
    """The params of a stage in dvc.lock by file, without the fingerprints of its code."""
    return {name: values for name, values in stage.get("params", {}).items() if not _is_fingerprints(name)}


def code_files(stage: dict[str, Any]) -> dict[str, str]:
    """The md5 of each code file that a stage in dvc.lock read: "kshot/errors.py", relative to a package folder.

    For a stage that older versions ran: "src/kshot/errors.py", relative to the project. For a plug-in's distribution:
    "kshot-extra:kshot_extra/loss.py". The line that maps a plug-in's name to its object is not a file and is left out.
    """
    found = {dep["path"]: dep["md5"] for dep in stage.get("deps", []) if dep["path"].endswith(".py")}
    for name, values in stage.get("params", {}).items():
        found |= values if _is_fingerprints(name) else {}
    return {name: md5 for name, md5 in found.items() if plugin_code.ENTRY not in name}


def _is_fingerprints(name: str) -> bool:
    return Path(name).parent == layout.FINGERPRINTS


def _output(stages: dict[str, Any], path: str) -> str:
    return next((out["md5"] for stage in stages.values() for out in stage.get("outs", []) if out["path"] == path), "")


def digest(value: object) -> str:
    """16 hex digits of the hash of a plain JSON value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
