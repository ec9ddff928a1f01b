"""Compares the rebuilt model with the registered one: weights by tensor, accuracies by episode."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kshot.lifecycle.audit.links.origin import ADDED_LATER
from kshot.lifecycle.audit.links.results import EPISODES
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.data.dvc_cache import folder_md5
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5

WEIGHTS = ".safetensors"
EXACT = 5e-7  # an accuracy has six digits


@dataclass(frozen=True)
class Weights:
    """The registered model's files compared with the rebuilt ones.

    unlike          files that are not identical byte for byte
    tensors         number of tensors
    unlike_tensors  how many of them differ
    largest         the greatest difference of two numbers, as a share of the largest number of its tensor; None if
                    tensors of one of them are missing or have another shape
    as_trained      whether the rebuilt files are those stage train wrote originally; if the registered files differ
                    from these, they were changed since
    """

    files: tuple[str, ...]
    unlike: tuple[str, ...]
    tensors: int
    unlike_tensors: int
    largest: float | None
    as_trained: bool


@dataclass(frozen=True)
class Accuracy:
    """A protocol's mean accuracy, registered and rebuilt; `moved` of `episodes` episodes differ."""

    protocol: str
    registered: float
    rebuilt: float
    moved: int
    episodes: int

    @property
    def difference(self) -> float:
        return self.rebuilt - self.registered


def weights(subject: Subject, tree: Path) -> Weights:
    """Compare the registered model with model/ of `tree`. Raises Broken if the registered one is gone.

    If `kshot prune` deleted it, the rebuilt files are compared with the md5 in dvc.lock.
    """
    as_trained = folder_md5(tree / layout.MODEL, _names(tree / layout.MODEL)) == _trained(subject)
    if subject.pruned:
        names = tuple(sorted(_names(tree / layout.MODEL)))
        return Weights(names, () if as_trained else names, 0, 0, None, as_trained)
    registered = subject.model / "artifacts" / layout.EMBEDDING  # only compared, never run, so it may be altered
    rebuilt = tree / layout.MODEL
    files = sorted({*_names(registered), *_names(rebuilt)} - ADDED_LATER)
    unlike = [name for name in files if not _same(registered / name, rebuilt / name)]
    ours, theirs = (_tensors(folder, files) for folder in (registered, rebuilt))
    shares = {name: _share(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()}
    comparable = ours.keys() == theirs.keys() and None not in shares.values()
    return Weights(
        files=tuple(files),
        unlike=tuple(unlike),
        tensors=len(ours),
        unlike_tensors=sum(share != 0 for share in shares.values()) + len(ours.keys() ^ theirs.keys()),
        largest=max((share for share in shares.values() if share is not None), default=0.0) if comparable else None,
        as_trained=as_trained,
    )


def accuracies(subject: Subject, tree: Path) -> tuple[Accuracy, ...]:
    """Compare the registered accuracies with the accuracies in `tree`, in total and per episode."""
    registered = json.loads(subject.tag("accuracy"))
    rebuilt = json.loads((tree / layout.METRICS).read_text(encoding="utf-8"))["accuracy"]
    then = pd.read_parquet(subject.file(layout.EVALUATION.name) / EPISODES)
    now = pd.read_parquet(tree / layout.EVALUATION / EPISODES)
    both = then.merge(now, on=["protocol", "episode"], how="outer", suffixes=("_then", "_now"))
    both["moved"] = ~(both["accuracy_then"] == both["accuracy_now"])
    found = []
    for name, score in registered.items():
        part = both[both["protocol"] == name]
        mean = float(rebuilt[name]["mean"]) if name in rebuilt else float("nan")
        found.append(Accuracy(name, float(score[0]), mean, int(part["moved"].sum()), len(part)))
    return tuple(found)


def _trained(subject: Subject) -> str:
    return str(subject.output(layout.MODEL.as_posix())["md5"])


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and file_md5(one) == file_md5(other)


def _tensors(folder: Path, files: list[str]) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    paths = [folder / name for name in files if name.endswith(WEIGHTS) and (folder / name).exists()]
    return {f"{path.name}:{key}": value for path in paths for key, value in load_file(path).items()}


def _share(one: np.ndarray, other: np.ndarray) -> float | None:
    """The greatest difference as a share of the largest number; None for different shapes."""
    if one.shape != other.shape:
        return None
    if one.size == 0 or one.tobytes() == other.tobytes():
        return 0.0
    first, second = one.astype(np.float64), other.astype(np.float64)
    size = float(np.abs(first).max()) or 1.0
    return float(np.abs(first - second).max()) / size
