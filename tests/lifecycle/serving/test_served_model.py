"""The served model through MLflow's own scoring app: every JSON form, labels of every kind, and threads."""

import base64
import io
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from PIL import Image
from starlette.testclient import TestClient

from kshot.evaluation.inference import inference_of, save_inference
from kshot.lifecycle.serving import package, served_model
from kshot.lifecycle.serving.served_model import FewShot
from kshot.lifecycle.tracking import store
from kshot.methods.saving import save_method
from kshot.methods.table import METHODS, build_method
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from tests.lifecycle import packed_project

SIZE = packed_project.SIZE
ARGUMENTS: dict[str, dict[str, Any]] = {
    "maml": {"steps": 1, "test_steps": 3, "rate": 0.5, "batch_norm": "support"},
    "anil": {"steps": 1, "test_steps": 3, "rate": 0.5, "batch_norm": "support"},
    "reptile": {"steps": 1, "test_steps": 3, "rate": 0.5},
    "matching": {"full_context": True},
    "mann": {"standardize": True},
}


def save(folder: Path, name: str, seed: int = 0) -> Path:
    """A new, untrained model of a method, as stage train and stage evaluate leave one."""
    torch.manual_seed(seed)
    described = {"name": name, "n_way": 3, "k_shot": 1, "arguments": ARGUMENTS.get(name, {})}
    ingest = {"size": SIZE, "channels": 1, "invert": True}
    backbone = "conv4_maps" if name == "relation" else "conv4"
    settings = {"backbone": backbone, "head_dim": None, "l2_normalize": False, "ingest": ingest, "method": described}
    method = build_method(described, Embedding(settings_of(settings))).eval()
    save_method(method, folder)
    save_inference(inference_of(name, "method", method.batch_norm), folder)
    return folder


def loaded(folder: Path) -> FewShot:
    model = FewShot()
    with pytest.MonkeyPatch.context() as patch:  # the folder is no registered version, and has no manifest
        patch.setattr(served_model, "own_difference", lambda folder: [])
        model.load_context(SimpleNamespace(artifacts={"embedding": str(folder)}))  # type: ignore[arg-type]
    return model


def png(number: int) -> str:
    pixels = np.random.default_rng(number).integers(0, 256, (4, 4)).repeat(5, 0).repeat(5, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def frame(labels: list[Any], first: int = 0) -> pd.DataFrame:
    images = [png(first + place) for place in range(len(labels))]
    return pd.DataFrame({"image": images, "label": pd.Series(labels, dtype=object)})


@pytest.mark.parametrize("name", METHODS)
def test_requests_at_once_are_predicted_as_one_after_another(tmp_path, monkeypatch, name):
    model = loaded(save(tmp_path, name))
    requests = [frame(["a", "b", None, "c", None], first=10 * number)[: 5 - number % 2] for number in range(8)]
    expected = [model.predict(None, request) for request in requests]
    start = threading.Barrier(len(requests))

    def ask(request: pd.DataFrame) -> list[pd.DataFrame]:
        start.wait()
        return [model.predict(None, request) for _ in range(3)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(len(requests)) as pool:
            found = list(pool.map(ask, requests))
    finally:
        sys.setswitchinterval(interval)
    for one, wanted in zip(found, expected, strict=True):
        for again in one:
            pd.testing.assert_frame_equal(again, wanted, rtol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"), "metric")


def test_a_request_of_more_pixels_than_are_allowed_is_refused(tmp_path, monkeypatch):
    model = loaded(save(tmp_path, "metric"))
    monkeypatch.setattr(served_model, "PIXELS_A_REQUEST", 2 * 20 * 20)
    assert len(model.predict(None, frame(["a", None]))) == 1
    with pytest.raises(MlflowException, match="row 2: it has 20 x 20 pixels; needs at most 0 in all"):
        model.predict(None, frame(["a", None, None]))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MLflow's scoring app on a registered model."""
    root = tmp_path_factory.mktemp("project")
    packed_project.write(root)
    store.connect(root)
    torch.manual_seed(0)
    ingest = {"size": SIZE, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    save_embedding(Embedding(settings_of(settings)), root / "model")
    experiment = mlflow.get_experiment_by_name("kshot")
    run = mlflow.MlflowClient().create_run(experiment.experiment_id)
    model = mlflow.pyfunc.load_model(package.log_model(root, root / "model", run.info.run_id).address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
        with TestClient(scoring_server.init(model)) as client:
            yield client


def ask(app: TestClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = app.post("/invocations", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def forms(images: list[str], labels: list[Any]) -> dict[str, dict[str, Any]]:
    """The same request in every form of JSON that MLflow's app takes."""
    rows = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    columns = {"image": images, "label": labels}
    return {
        "dataframe_split": {"dataframe_split": {"columns": [*columns], "data": [[*row.values()] for row in rows]}},
        "dataframe_records": {"dataframe_records": rows},
        "instances": {"instances": rows},
        "inputs of columns": {"inputs": columns},
        "inputs of rows": {"inputs": rows},
    }


FORMS = tuple(forms([], []))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (["one", "two", None], "two"),
        (["one", "two", ""], "two"),
        ([1, 2, None], "2"),
        ([7, 2**53 - 1, None], str(2**53 - 1)),
        (["None", "nan", None], "nan"),
        (["007", "1.0", None], "1.0"),
    ],
    ids=str,
)
def test_labels_come_back_as_they_were_sent_in_every_form_of_json(app, form, labels, wanted):
    images = [png(0), png(1), png(1)]
    found = ask(app, forms(images, labels)[form])
    assert [row["label"] for row in found] == [wanted]
    assert found[0]["distance"] == pytest.approx(0, abs=1e-2) and 0 < found[0]["score"] <= 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", [1.5, True, 2.0**53, {"a": 1}], ids=str)
def test_a_label_that_is_neither_text_nor_a_whole_number_is_refused(app, form, label):
    body = forms([png(0), png(1), png(1)], ["one", label, None])[form]
    answer = app.post("/invocations", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("row 1: its label is ") and "\n" not in answer.json()["message"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("image", "labels", "told"),
    [
        (png(1), ["a", "b", "c"], "no row has an empty label"),
        (png(1), [None, None, None], "no row has a label"),
        ("abcd", ["a", "b", None], "row 2: "),
    ],
    ids=("no query", "no support", "no image"),
)
def test_a_refusal_is_one_line_without_the_images_that_were_sent(app, form, image, labels, told):
    body = forms([png(0), png(1), image], labels)[form]
    answer = app.post("/invocations", content=json.dumps(body), headers={"content-type": "application/json"})
    message = answer.json()["message"]
    assert answer.status_code == 400 and message.startswith(told)
    assert "\n" not in message and png(0)[:60] not in message


def test_columns_of_unequal_length_are_refused(folder):
    asked = pd.DataFrame([{"image": [png(0), png(1)], "label": ["a"]}])
    with pytest.raises(MlflowException, match=r"differ in length \(image 2, label 1\)"):
        loaded(folder).predict(None, asked)


def test_a_request_without_rows_is_refused(folder):
    with pytest.raises(MlflowException, match="no row has a label"):
        loaded(folder).predict(None, frame([]))


def test_csv_is_refused(app):
    body = frame(["a", "b", None]).to_csv(index=False)
    answer = app.post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 400 and "\n" not in answer.json()["message"]


def test_labels_of_a_frame_may_be_of_any_whole_type(folder):
    model = loaded(folder)
    for labels in (
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.0, 2.0, np.nan], dtype="float32"),
        pd.Series([np.int16(1), np.int16(2), None], dtype=object),
        pd.Series(pd.Categorical(["1", "2", None])),
    ):
        asked = pd.DataFrame({"image": [png(0), png(1), png(1)], "label": labels})
        assert model.predict(None, asked)["label"].tolist() == ["2"]


def test_requests_at_once_over_http_are_predicted_as_one_after_another(app):
    bodies = [forms([png(n), png(n + 1), png(n + 2)], ["a", "b", None])["dataframe_split"] for n in range(0, 30, 3)]
    expected = [ask(app, body) for body in bodies]
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda body: ask(app, body), bodies * 2))
    for one, wanted in zip(found, expected * 2, strict=True):
        assert [row["label"] for row in one] == [row["label"] for row in wanted]
        assert [row["score"] for row in one] == pytest.approx([row["score"] for row in wanted], rel=1e-4)
