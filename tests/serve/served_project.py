"""A project whose registry has two small trained models of letters, made once a session and copied for each test."""

import shutil
from pathlib import Path

import kshot
from kshot.evaluation.inference import Inference, save_inference
from kshot.lifecycle.history import events, history_run
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import model_manifest, package
from kshot.lifecycle.tracking import store
from tests.lifecycle import packed_project
from tests.lifecycle.registered_versions import copy as copy

REPOSITORY = Path(__file__).parents[2]
THRESHOLDS = {1: 9.0, 5: 8.0}


def train(letters: Path, steps: int) -> kshot.FewShotModel:
    """Trained for a few steps instead of 600: enough to be better than chance."""
    return kshot.train(
        letters, loss="triplet", steps=steps, classes_per_batch=10, images_per_class=4, device="cpu", progress=False
    )


def make(root: Path, letters: Path) -> Path:
    """Versions 1, the champion, and 2."""
    packed_project.write(root)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, root)
    where = store.connect(root)
    history_run.begin(store.client(), root, where)
    for steps in (10, 20):
        register(root, train(letters, steps))
    name_champion(root, "1")
    return root


def register(root: Path, model: kshot.FewShotModel, inference: Inference | None = None) -> str:
    """Register one more version, which answers by `inference`: by default the nearest prototype, with THRESHOLDS."""
    store.connect(root)
    client = store.client()
    (root / layout.EVALUATION).mkdir(parents=True, exist_ok=True)
    model.save(root / layout.MODEL)
    save_inference(inference or Inference("metric", "prototype", "eval", THRESHOLDS), root / layout.EVALUATION)
    experiment = client.get_experiment_by_name("kshot")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id)
    client.set_terminated(run.info.run_id)
    tags = {"kshot.data_version": "d" * 32, "kshot.git_commit": "c" * 40}
    address, sealed = package.log_model(root, root / layout.MODEL, run.info.run_id, tags)
    tags[model_manifest.TAG] = sealed
    return str(client.create_model_version("kshot", address, run.info.run_id, tags=tags).version)


def name_champion(root: Path, version: str) -> None:
    """Move the alias, as MLflow's own page does."""
    store.connect(root)
    store.client().set_registered_model_alias("kshot", events.CHAMPION, version)
