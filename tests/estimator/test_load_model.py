"""A model is loaded from its folder, a project's folder or a registry; errors are one line."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import kshot
from kshot.errors import CheckpointError, ParamsError, RegistryError
from kshot.evaluation.inference import Inference, Temperature, save_inference
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import package
from kshot.lifecycle.tracking import store
from kshot.methods.saving import weights_hash
from tests.estimator.labelled import labelled
from tests.lifecycle import packed_project


def test_a_saved_model_predicts_as_before(model, held_out, tmp_path: Path) -> None:
    few = labelled(held_out)
    model.save(tmp_path / "model")
    loaded = kshot.load(tmp_path / "model", device="cpu")
    assert repr(loaded) == repr(model) and loaded.trained_on == model.trained_on
    assert np.array_equal(loaded.transform(few.queries), model.transform(few.queries))
    before, after = (one.fit(few.support, few.labels) for one in (model, loaded))
    assert np.array_equal(before.predict_proba(few.queries), after.predict_proba(few.queries))
    assert np.array_equal(before.is_unknown(few.queries), after.is_unknown(few.queries))


def test_a_projects_model_answers_as_its_evaluation_did(model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    (tmp_path / "model/inference.json").unlink()  # stage train writes none
    assert kshot.load(tmp_path / "model").inference == Inference("metric", "prototype", "eval")
    evaluated = Inference("metric", "nearest_neighbour", "eval", {1: 3.5})
    (tmp_path / layout.EVALUATION).mkdir(parents=True)
    save_inference(evaluated, tmp_path / layout.EVALUATION)
    assert kshot.load(tmp_path / layout.MODEL).inference == evaluated  # as older versions of kshot wrote it
    save_inference(evaluated, tmp_path / layout.EVALUATION, weights_hash(tmp_path / "model"))
    assert kshot.load(tmp_path / layout.MODEL).inference == evaluated


def test_thresholds_of_other_weights_are_not_taken(model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    (tmp_path / "model/inference.json").unlink()
    (tmp_path / layout.EVALUATION).mkdir(parents=True)
    evaluated = Inference("metric", "prototype", "eval", {1: 3.5}, temperatures=(Temperature(5, 1, 2.0),))
    save_inference(evaluated, tmp_path / layout.EVALUATION, weights_hash(tmp_path / "model"))
    weights = load_file(tmp_path / "model/embedding.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, tmp_path / "model/embedding.safetensors")
    assert kshot.load(tmp_path / layout.MODEL).inference == Inference("metric", "prototype", "eval")


def test_folders_without_a_whole_model_are_told(model, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing is no folder; needs a model's folder"):
        kshot.load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"holds no embedding.json; needs a model's folder"):
        kshot.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "inference.json").write_text("{")
    with pytest.raises(CheckpointError, match="inference.json or embedding.json cannot be read"):
        kshot.load(tmp_path)
    (tmp_path / "inference.json").unlink()
    (tmp_path / "embedding.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no model that can be loaded"):
        kshot.load(tmp_path)


def test_a_device_that_is_not_there_is_told(model, tmp_path: Path, monkeypatch) -> None:
    model.save(tmp_path)
    monkeypatch.setattr("kshot.nets.devices.present", lambda: ["cpu"])
    with pytest.raises(ParamsError, match="^device is cuda, but this machine only has: cpu"):
        kshot.load(tmp_path, device="cuda")


def test_a_registered_model_is_loaded_by_its_alias_and_predicts_as_it_is_served(
    model, held_out, tmp_path: Path, monkeypatch
) -> None:
    few = labelled(held_out)
    packed_project.write(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(Path(__file__).parents[2] / name, tmp_path / name)
    model.save(tmp_path / layout.MODEL)
    (tmp_path / layout.EVALUATION).mkdir(parents=True)
    save_inference(model.inference, tmp_path / layout.EVALUATION)
    store.connect(tmp_path)
    run = mlflow.MlflowClient().create_run(mlflow.get_experiment_by_name("kshot").experiment_id)
    logged = package.log_model(tmp_path, tmp_path / layout.MODEL, run.info.run_id)
    mlflow.register_model(logged.address, "shop")
    mlflow.MlflowClient().set_registered_model_alias("shop", "champion", "1")
    labels = pd.Series([*few.labels, *[None] * len(few.queries)], dtype=object)
    images = [path.read_bytes() for path in (*few.support, *few.queries)]
    served = mlflow.pyfunc.load_model("models:/shop@champion").predict(pd.DataFrame({"image": images, "label": labels}))
    # As in a fresh notebook inside the project, where nobody has told MLflow of a store.
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    loaded = kshot.load("models:/shop@champion", device="cpu").fit(few.support, few.labels)
    assert loaded.predict(few.queries).tolist() == served["label"].tolist()
    assert loaded.is_unknown(few.queries).tolist() == served["unknown"].tolist()
    with pytest.raises(RegistryError, match="models:/shop/7 cannot be loaded from sqlite"):
        kshot.load("models:/shop/7")
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(RegistryError, match="is in no kshot project, and MLflow has no store"):
        kshot.load("models:/shop@champion")


def test_without_mlflow_an_address_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(RegistryError, match=r"mlflow is not installed; pip install 'kshot\[pipeline\]', or load a"):
        kshot.load("models:/shop@champion")
