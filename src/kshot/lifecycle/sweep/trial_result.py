"""The stored result of a finished trial: a folder in .kshot/sweep that exists only if the trial has finished."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.params_file.settings import PARAMS
from kshot.lifecycle.project import layout

PLACE = layout.STATE / "sweep"
RESULT = "trial.json"
FILES = (Path(PARAMS), Path("dvc.yaml"), Path(layout.LOCK_FILE), layout.RAW_DVC, layout.TRAIN_LOG)  # for the record


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial.

    protocol    of the validation episodes
    episodes    a hash of these episodes; equal for all trials of a sweep
    by          the classifier that predicted them
    accuracies  share of correct predictions of each episode
    seconds     of training
    step        after which the training ended
    reason      why it ended, and which weights it returned
    tags        the lineage, as on a registered version
    """

    protocol: str
    episodes: str
    by: str
    accuracies: tuple[float, ...]
    seconds: float
    step: int
    reason: str
    tags: dict[str, str]


def folder(home: Path, identity: str) -> Path:
    """The folder of a trial's result in the project at `home`."""
    return home / PLACE / identity


def write(result: TrialResult, tree: Path, place: Path) -> None:
    """Store `result` and the files of its record at `place`, all or nothing."""
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        for name in FILES:
            if (tree / name).exists():
                shutil.copyfile(tree / name, fresh / name.name)
        (fresh / RESULT).write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read(place: Path) -> TrialResult | None:
    """The result stored at `place`, None if there is none. Raises KshotError for a damaged one."""
    try:
        found = json.loads((place / RESULT).read_text(encoding="utf-8"))
        return TrialResult(**{**found, "accuracies": tuple(found["accuracies"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise KshotError(f"{place / RESULT} is damaged ({error}); delete {place} and run the same command") from error
