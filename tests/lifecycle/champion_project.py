"""A project with a small champion of real drawings: data in DVC, a model in MLflow; made in this process, no flow."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from kshot.glyphs.draw import draw
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.history import events, history_run
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import model_manifest, package
from kshot.lifecycle.stages import embed, episodes, evaluate, ingest, split, train
from kshot.lifecycle.tracking import store
from kshot.params.schema import Params, params_from
from tests.lifecycle import raw_project
from tests.short_names import set_train

LETTERS, DRAWERS = 5, 10
KEPT_OUT = ("Phonetic", "Arabic", "Lao")  # scripts that the champion's data has not
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def drawings(folder: Path, seed: int) -> tuple[Path, Path]:
    """Letters drawn by hands of their own: those of the data's scripts, and those of the others."""
    draw(folder / "letters", seed=seed, drawers=DRAWERS, letters_a_script=LETTERS)
    for script in KEPT_OUT:
        (folder / "others").mkdir(exist_ok=True)
        (folder / "letters" / script).rename(folder / "others" / script)
    return folder / "letters", folder / "others"


def make(root: Path, source: Path, *, n_episodes: int = 40, **changes: Any) -> Path:
    """The project after one retraining on `source`; `changes` of the section train. Version 1 is champion."""
    raw_project.make(root)
    params = _settings(root, n_episodes, changes)
    add_version.add(root, str(source))
    for stage in (ingest, split):
        stage.run(root, params)
    return _champion(root, params)


def make_of(root: Path, made: Path, *, n_episodes: int = 40, **changes: Any) -> Path:
    """The same on the data of the project `made`, which is copied instead of added and prepared again."""
    of_the_model = (layout.STATE.name, layout.MLRUNS.name, layout.MODEL.name, layout.REPORT.parent.name)
    shutil.copytree(made, root, symlinks=True, ignore=shutil.ignore_patterns(*of_the_model))
    return _champion(root, _settings(root, n_episodes, changes))


def _settings(root: Path, n_episodes: int, changes: dict[str, Any]) -> Params:
    """Small settings, committed."""
    mapping = yaml.safe_load((root / "params.yaml").read_text())
    shapes = {f"5w{k_shot}s": {"n_way": 5, "k_shot": k_shot, "within_group": False} for k_shot in (1, 5)}
    mapping["episodes"] |= {"n_episodes": n_episodes, "n_query": 3, "protocols": shapes}
    mapping["gate"]["min_accuracy"] = {"5w1s": 0.5}
    usual = {"device": "cpu", "steps": 60, "classes_per_batch": 30, "validate_every": 60, "validation_protocol": "5w1s"}
    set_train(mapping, **{**usual, **changes})
    (root / "params.yaml").write_text(yaml.safe_dump(mapping))
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-qm", "all"], cwd=root, check=True)
    return params_from(mapping)


def _champion(root: Path, params: Params) -> Path:
    for stage in (episodes, embed, train, evaluate):
        stage.run(root, params)
    where = store.connect(root)
    client = store.client()
    history_run.begin(client, root, where)
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id)
    version = working_copy.tracked(root)
    assert version is not None
    tags = {"kshot.data_version": version.md5}
    address, sealed = package.log_model(root, root / layout.MODEL, run.info.run_id, tags)
    tags[model_manifest.TAG] = sealed
    made = client.create_model_version("kshot", address, run.info.run_id, tags=tags)
    client.set_registered_model_alias("kshot", events.CHAMPION, made.version)
    return root
