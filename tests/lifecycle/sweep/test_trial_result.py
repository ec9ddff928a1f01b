"""A trial's result on disk: all of it or nothing."""

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from kshot.errors import KshotError
from kshot.lifecycle.project import layout
from kshot.lifecycle.sweep import trial_result
from tests.lifecycle.sweep.finished_trials import result


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.lock", layout.TRAIN_LOG):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(str(name))
    return tmp_path / "tree"


def test_a_result_is_read_as_it_was_written_with_the_files_of_its_record(tree: Path, tmp_path: Path) -> None:
    place = trial_result.folder(tmp_path / "home", "abc")
    assert trial_result.read(place) is None
    trial_result.write(result([0.5, 1 / 3]), tree, place)
    assert trial_result.read(place) == result([0.5, 1 / 3])
    assert sorted(path.name for path in place.iterdir()) == ["dvc.lock", "params.yaml", "train.jsonl", "trial.json"]
    trial_result.write(result([1.0]), tree, place)  # once more, by two sweeps after each other
    assert trial_result.read(place) == result([1.0])


def test_a_disk_that_is_full_leaves_nothing(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copyfile

    def full(source: Path, target: Path) -> Any:
        if target.name == "train.jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    place = trial_result.folder(tmp_path / "home", "abc")
    with pytest.raises(OSError, match="No space left"):
        trial_result.write(result([0.5]), tree, place)
    assert list(place.parent.iterdir()) == []


def test_a_damaged_result_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "trial.json").write_text("{")
    with pytest.raises(KshotError, match=r"trial.json is damaged .*; delete .* and run the same command"):
        trial_result.read(tmp_path)
