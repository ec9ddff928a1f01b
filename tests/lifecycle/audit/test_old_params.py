"""Runs recorded with the old names of settings are audited and compared like current ones."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kshot.lifecycle.audit.data import _described
from kshot.lifecycle.audit.links import origin
from kshot.lifecycle.audit.runs import _run
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.tracking.lineage import digest
from kshot.lifecycle.tracking.run_content import flat

OLD: dict[str, Any] = {
    "train": {
        "seed": 0,
        "loss": "triplet",
        "margin": 0.5,
        "method": "metric",
        "method_arguments": {},
        "backbone": "conv4",
    },
    "evaluate": {"head": "method", "views": 1},
}
NEW: dict[str, Any] = {
    "train": {
        "seed": 0,
        "loss": {"name": "triplet", "margin": 0.5},
        "method": {"name": "metric", "arguments": {}},
        "network": {"backbone": "conv4"},
    },
    "evaluate": {"classifier": "method", "views": 1},
}
OF_THE_LOCK = {
    "embed": {"train.backbone": "conv4"},
    "train": {"train": OLD["train"]},
    "evaluate": {"evaluate": OLD["evaluate"]},
}


def subject(folder: Path, in_mlflow: dict[str, str], params: dict[str, Any] = OLD) -> Any:
    """What `origin.params` reads of a version: the run's files, its dvc.lock and MLflow's params."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    lock = {stage: {"cmd": "x", "params": {"params.yaml": values}} for stage, values in OF_THE_LOCK.items()}
    md5 = digest({stage: {"params.yaml": values} for stage, values in OF_THE_LOCK.items()})
    run = SimpleNamespace(data=SimpleNamespace(params=in_mlflow))
    return SimpleNamespace(lock=lock, run=run, tag=lambda name: md5, file=lambda name: folder / name)


@pytest.mark.parametrize("recorded", [OLD, NEW], ids=["older", "after the update"])
def test_params_of_before_hold_whatever_names_mlflow_has(tmp_path: Path, recorded: dict[str, Any]) -> None:
    assert origin.params(subject(tmp_path, flat(recorded))).startswith("7 params, the same in MLflow")


def test_another_value_under_an_old_name_is_broken(tmp_path: Path) -> None:
    other = {**OLD, "train": {**OLD["train"], "margin": 0.7}}
    with pytest.raises(Broken, match=r"params.yaml of the run has other params than were recorded: train.loss.margin"):
        origin.params(subject(tmp_path, flat(OLD), other))
    with pytest.raises(Broken, match=r"MLflow has other params than were recorded: train.loss.margin"):
        origin.params(subject(tmp_path, flat(other)))


def test_one_setting_by_both_names_is_broken_and_no_failure_of_ours(tmp_path: Path) -> None:
    both = json.loads(json.dumps(OLD)) | {"evaluate": {"head": "method", "classifier": "method", "views": 1}}
    with pytest.raises(Broken, match="evaluate.classifier is there by its old name"):
        origin.params(subject(tmp_path, flat(OLD), both))


def test_runs_that_differ_in_names_alone_do_not_differ() -> None:
    changed = {**NEW, "train": {**NEW["train"], "seed": 1}}
    runs = [_run(str(place), 0, "FINISHED", "active", flat(params)) for place, params in enumerate((OLD, changed))]
    assert [run.params for run in _described(runs, {})] == [{"train.seed": "0"}, {"train.seed": "1"}]
