"""The registered model for its users: loaded from MLflow's store, called with data frames and the server's JSON."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from PIL import Image

import kshot
from kshot.classifiers.attention import attention_scores
from kshot.data.images import decode, prepare
from kshot.evaluation.inference import Inference, save_inference
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import package
from kshot.lifecycle.tracking import store
from kshot.manifest import own_difference
from kshot.methods.saving import save_method
from kshot.methods.table import build_method
from kshot.nets.embedding import Embedding, embed, load_embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.sections.ingest import recorded_ingest
from tests.lifecycle import packed_project

# kshot is installed editable where these tests run: whatever leads to it is removed before anything is loaded.
BARE = """
import importlib.util, json, sys
sys.path = [place for place in sys.path if not place.rstrip("/").endswith("/src")]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
if importlib.util.find_spec("kshot") is not None:
    sys.exit("kshot can still be imported")
import mlflow
import pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = pd.read_json(sys.argv[2], orient="split", dtype=False)
print(model.predict(frame).to_json(orient="split"))
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def log(
    root: Path,
    *,
    seed: int,
    size: int = packed_project.SIZE,
    channels: int = 1,
    invert: bool = True,
    crop: str = "none",
    head_dim: int | None = 8,
) -> str:
    """Log a new, untrained embedding; the address of the model."""
    torch.manual_seed(seed)
    ingest = {"size": size, "channels": channels, "invert": invert, "crop": crop}
    settings = {
        "backbone": "conv4",
        "head_dim": head_dim,
        "l2_normalize": False,
        "batch_norm": "eval",
        "ingest": ingest,
    }
    folder = root / f"model-{seed}"
    save_embedding(Embedding(settings_of(settings)), folder)
    experiment = mlflow.get_experiment_by_name("kshot")
    run = mlflow.MlflowClient().create_run(experiment.experiment_id)
    return package.log_model(root, folder, run.info.run_id).address


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A project with two models: grey and inverted, and larger in colour, cropped."""
    root = tmp_path_factory.mktemp("project")
    packed_project.write(root)
    store.connect(root)
    return root, log(root, seed=0), log(root, seed=1, size=24, channels=3, invert=False, crop="ink")


@pytest.fixture(scope="module")
def model(project: tuple[Path, str, str]) -> Any:
    return mlflow.pyfunc.load_model(project[1])


def image(number: int, kind: str = "PNG") -> bytes:
    """An image of its own, 20 x 17, coloured."""
    pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3)).repeat(5, 0).repeat(4, 1)[:17]
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, format=kind)
    return buffer.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Unequal shots, a query between the support, names in other scripts and with spaces.
LABELS = ["two words", None, "Ελληνικά/δ", "two words", "c", None, "two words", None, "c"]
IMAGES = [image(number, "JPEG" if number % 2 else "PNG") for number in range(len(LABELS))]
REQUEST = pd.DataFrame({"image": IMAGES, "label": LABELS})


def by_hand(
    folder: Path, labels: list[str | None], images: list[bytes], views: int = 1
) -> list[tuple[str, float, float]]:
    """Label, score and distance of each query, one at a time."""
    saved = load_embedding(folder)
    embedding = Embedding(saved.settings, views=views).eval()
    embedding.load_state_dict(saved.state_dict())
    ingest = embedding.settings.ingest

    def point(data: bytes) -> np.ndarray:
        pixels = prepare(decode(data, ingest.channels), ingest)
        return embed(embedding, pixels[None], np.arange(1))[0].double().numpy()

    points = [point(data) for data in images]
    means = {
        name: np.mean([p for p, label in zip(points, labels, strict=True) if label == name], axis=0)
        for name in labels
        if name
    }
    answers = []
    for p, label in zip(points, labels, strict=True):
        if label is None:
            distances = {name: float(np.linalg.norm(p - mean)) for name, mean in means.items()}
            nearest = min(distances, key=lambda name: distances[name])
            shares = {name: np.exp(-(d**2)) for name, d in distances.items()}
            answers.append((nearest, float(shares[nearest] / sum(shares.values())), distances[nearest]))
    return answers


def assert_answers(found: pd.DataFrame, expected: list[tuple[str, float, float]]) -> None:
    assert list(found.columns) == ["label", "score", "distance"]
    assert found["label"].tolist() == [label for label, _, _ in expected]
    np.testing.assert_allclose(found["score"], [share for _, share, _ in expected], rtol=1e-4)
    np.testing.assert_allclose(found["distance"], [distance for _, _, distance in expected], rtol=1e-3, atol=1e-5)


def test_each_query_gets_the_nearest_class_mean_in_the_order_of_the_request(project, model):
    assert_answers(model.predict(REQUEST), by_hand(project[0] / "model-0", LABELS, IMAGES))


def test_it_answers_over_the_views_that_it_was_measured_with(project):
    root = project[0]
    (root / layout.EVALUATION).mkdir(parents=True, exist_ok=True)
    try:
        save_inference(Inference("metric", "prototype", "eval", views=5), root / layout.EVALUATION)
        over_views = mlflow.pyfunc.load_model(log(root, seed=5))
    finally:
        shutil.rmtree(root / layout.EVALUATION)
    assert_answers(over_views.predict(REQUEST), by_hand(root / "model-5", LABELS, IMAGES, views=5))


def test_it_answers_by_the_head_that_it_was_measured_with(project):
    root = project[0]
    (root / layout.EVALUATION).mkdir(parents=True, exist_ok=True)
    try:
        save_inference(Inference("metric", "attention", "eval"), root / layout.EVALUATION)
        by_attention = mlflow.pyfunc.load_model(log(root, seed=2))
        save_inference(Inference("metric", "pt_map", "eval"), root / layout.EVALUATION)
        by_transport = mlflow.pyfunc.load_model(log(root, seed=3, head_dim=None))
    finally:
        shutil.rmtree(root / layout.EVALUATION)
    embedding = load_embedding(root / "model-2")
    ingest = embedding.settings.ingest
    pixels = np.stack([prepare(decode(data, ingest.channels), ingest) for data in IMAGES])
    points = embed(embedding, pixels, np.arange(len(pixels)))
    known = [i for i, label in enumerate(LABELS) if label]
    names = sorted({LABELS[i] for i in known})
    places = torch.tensor([names.index(LABELS[i]) for i in known])
    asked = [i for i, label in enumerate(LABELS) if not label]
    scores = attention_scores(points[known][None], places, points[asked][None], 3)[0].softmax(1)
    found = by_attention.predict(REQUEST)
    assert found["label"].tolist() == [names[i] for i in scores.argmax(1)]
    np.testing.assert_allclose(found["score"], scores.amax(1), rtol=1e-4)
    assert len(by_transport.predict(REQUEST)) == 3  # three queries of three classes can be shared equally
    with pytest.raises(MlflowException, match="classifier pt_map cannot predict this: .* 2 queries of 3 classes"):
        by_transport.predict(REQUEST.drop(index=1))


def test_another_order_of_the_queries_is_the_same_answers_in_that_order(model):
    order = [7, 0, 2, 5, 4, 3, 6, 8, 1]
    straight, turned = model.predict(REQUEST), model.predict(REQUEST.iloc[order].reset_index(drop=True))
    pd.testing.assert_frame_equal(turned, straight.iloc[[2, 1, 0]].reset_index(drop=True), rtol=1e-5)


def test_two_versions_answer_in_one_process_each_with_its_own_settings(project, model):
    root, _, second = project
    other = mlflow.pyfunc.load_model(second)
    assert_answers(other.predict(REQUEST), by_hand(root / "model-1", LABELS, IMAGES))
    assert_answers(model.predict(REQUEST), by_hand(root / "model-0", LABELS, IMAGES))


def test_a_version_with_other_code_does_not_meet_the_code_of_the_first(project, monkeypatch, tmp_path):
    root, _, _ = project
    changed = tmp_path / "kshot"
    ignored = shutil.ignore_patterns("__pycache__", "lifecycle", "cli")
    shutil.copytree(Path(kshot.__file__).parent, changed, ignore=ignored)
    distances = (changed / "distances.py").read_text()
    old = "(left @ right.transpose(-1, -2)).clamp_min_(0).to(x.dtype)"
    assert old in distances
    (changed / "distances.py").write_text(distances.replace(old, f"{old} + 9"))
    monkeypatch.setattr(kshot, "__file__", str(changed / "__init__.py"))
    later = mlflow.pyfunc.load_model(log(root, seed=2))
    monkeypatch.undo()
    near = by_hand(root / "model-2", LABELS, IMAGES)
    assert_answers(later.predict(REQUEST), [(label, share, (d**2 + 9) ** 0.5) for label, share, d in near])


def test_where_python_writes_bytecode_a_model_is_as_it_was_registered(project, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    place = Path(mlflow.artifacts.download_artifacts(log(project[0], seed=3)))
    assert own_difference(place) == () and not [one for one in place.rglob("__pycache__") if one.is_dir()]
    assert not sys.dont_write_bytecode


def test_a_query_far_from_every_class_is_unknown_where_a_threshold_was_set(project, model):
    root = project[0]
    found = model.predict(REQUEST)
    assert "unknown" not in found, "no validation classes set a threshold"
    (root / layout.EVALUATION).mkdir(parents=True, exist_ok=True)
    near = float(found["distance"].sort_values().iloc[1])
    try:
        save_inference(Inference("metric", "prototype", "eval", {1: near, 5: 1e9}), root / layout.EVALUATION)
        stricter = mlflow.pyfunc.load_model(log(root, seed=0))
    finally:
        shutil.rmtree(root / layout.EVALUATION)
    asked = stricter.predict(REQUEST)
    assert asked["unknown"].tolist() == (found["distance"] > near).tolist() and asked["unknown"].sum() == 1
    many = pd.DataFrame({"image": IMAGES[:1] * 5 + IMAGES[1:2], "label": ["a"] * 5 + [None]})
    assert stricter.predict(many)["unknown"].tolist() == [False], "five shots have a threshold of their own"


def test_a_method_that_adapts_is_served_without_a_distance(project):
    root = project[0]
    torch.manual_seed(4)
    described = {"name": "maml", "n_way": 3, "k_shot": 1}
    described["arguments"] = {"steps": 1, "test_steps": 2, "rate": 0.1, "batch_norm": "support"}
    ingest = {"size": packed_project.SIZE, "channels": 3, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "ingest": ingest, "method": described}
    method = build_method(described, Embedding(settings_of(settings))).eval()
    save_method(method, root / "model-maml")
    (root / layout.EVALUATION).mkdir(parents=True, exist_ok=True)
    try:
        save_inference(Inference("maml", "method", "support"), root / layout.EVALUATION)
        experiment = mlflow.get_experiment_by_name("kshot")
        run = mlflow.MlflowClient().create_run(experiment.experiment_id)
        served = mlflow.pyfunc.load_model(package.log_model(root, root / "model-maml", run.info.run_id).address)
    finally:
        shutil.rmtree(root / layout.EVALUATION)
    found = served.predict(REQUEST)
    assert found["distance"].isna().all() and found["score"].between(1 / 3, 1).all()
    pixels = np.stack([prepare(decode(data, 3), recorded_ingest(settings)) for data in IMAGES])
    points = embed(method, pixels, np.arange(len(pixels)))
    known, asked = ([i for i, label in enumerate(LABELS) if bool(label) == wanted] for wanted in (True, False))
    names = sorted({LABELS[i] for i in known})
    places = torch.tensor([names.index(LABELS[i]) for i in known])
    scores = method.scores(points[known][None], places, points[asked][None], 3)[0]
    assert found["label"].tolist() == [names[i] for i in scores.argmax(1)]


@pytest.mark.parametrize("query", [None, "", float("nan"), pd.NA], ids=["None", "empty", "nan", "NA"])
def test_a_query_is_a_row_with_no_label_however_that_is_said(model, query):
    labels = pd.Series([label or query for label in LABELS], dtype=object)
    pd.testing.assert_frame_equal(model.predict(REQUEST.assign(label=labels)), model.predict(REQUEST))


def test_a_class_may_bear_any_name(model):
    labels = ["None", "nan", " ", "0", None]
    found = model.predict(pd.DataFrame({"image": [*IMAGES[:4], IMAGES[2]], "label": labels}))
    assert found["label"].tolist() == [" "]
    assert found["distance"][0] == pytest.approx(0, abs=1e-2)


def test_one_class_and_one_image_are_enough(model):
    found = model.predict(pd.DataFrame({"image": IMAGES[:2], "label": ["only", None]}))
    assert found[["label", "score"]].values.tolist() == [["only", 1.0]]


def test_base64_is_taken_as_the_bytes_are_also_broken_into_lines(model):
    expected = model.predict(REQUEST)
    for encode in (text, lambda data: base64.encodebytes(data).decode()):
        asked = REQUEST.assign(image=[encode(data) for data in IMAGES])
        pd.testing.assert_frame_equal(model.predict(asked), expected)


def test_the_scoring_servers_json_is_answered_as_the_frame(model):
    rows = [{"image": text(data), "label": label} for data, label in zip(IMAGES, LABELS, strict=True)]
    without = [{key: value for key, value in row.items() if value is not None} for row in rows]
    split = {"columns": ["image", "label"], "data": [[row["image"], row["label"]] for row in rows]}
    bodies = ({"dataframe_split": split}, {"dataframe_records": rows}, {"dataframe_records": without})
    for body in bodies:
        assert_same(model, body)


def assert_same(model, body):
    answer = invocations(json.dumps(body), "application/json", model, model.metadata.get_input_schema())
    assert answer.status == 200
    pd.testing.assert_frame_equal(pd.DataFrame(json.loads(answer.response)["predictions"]), model.predict(REQUEST))


def test_request_writes_the_json_that_the_server_takes(model, tmp_path):
    files = [tmp_path / f"{number} β.png" for number in range(len(IMAGES))]
    for file, data in zip(files, IMAGES, strict=True):
        file.write_bytes(data)
    support: dict[str, list[Path]] = {}
    for file, label in zip(files, LABELS, strict=True):
        if label:
            support.setdefault(label, []).append(file)
    queries = [file for file, label in zip(files, LABELS, strict=True) if not label]
    assert_same(model, package.request(support, queries))


def changed(**columns: Any) -> pd.DataFrame:
    return REQUEST.assign(**{name: pd.Series(values, dtype=object) for name, values in columns.items()})


def with_image(value: Any) -> pd.DataFrame:
    return changed(image=[*IMAGES[:5], value, *IMAGES[6:]])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (changed(label=[None] * 9), "no row has a label, so there is no support; needs labelled images"),
        (REQUEST[["image"]], "no row has a label, so there is no support"),
        (changed(label=["a"] * 9), "no row has an empty label, so there is no query; needs"),
        (with_image(b"a text"), "row 5: it is no image that can be read; needs the bytes of a PNG or JPEG"),
        (with_image(IMAGES[0][:60]), "row 5: it cannot be decoded"),
        (with_image(b""), "row 5: the file is empty"),
        (with_image("not base64"), "row 5: it is neither bytes nor base64"),
        (with_image(text(b"a text")), "row 5: it is no image that can be read"),
        (with_image(None), "row 5: it is neither bytes nor base64"),
        (with_image(7), "row 5: it is neither bytes nor base64"),
    ],
)
def test_a_request_that_cannot_be_answered_is_told_why_in_one_line(model, asked, told):
    with pytest.raises(MlflowException) as raised:
        model.predict(asked)
    assert raised.value.message.startswith(told)
    assert "\n" not in raised.value.message
    assert raised.value.get_http_status_code() == 400


def test_a_request_without_a_column_for_the_images_is_told_so(model):
    with pytest.raises(MlflowException, match="Model is missing inputs \\['image'\\]"):
        model.predict(REQUEST.rename(columns={"image": "picture"}))


def test_the_server_tells_the_sender_which_row_is_bad(model):
    body = json.dumps({"dataframe_records": [{"image": text(IMAGES[0]), "label": "a"}, {"image": "abc"}]})
    with pytest.raises(MlflowException, match="row 1: it is neither bytes nor base64") as raised:
        invocations(body, "application/json", model, model.metadata.get_input_schema())
    assert raised.value.get_http_status_code() == 400


def test_it_loads_without_kshot_and_without_pickle(project, model, tmp_path):
    asked = REQUEST.assign(image=[text(data) for data in IMAGES])
    asked.to_json(tmp_path / "request.json", orient="split")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-I", "-c", BARE, str(folder_of(project[1])), str(tmp_path / "request.json")],
        cwd=tmp_path,
        env={**environment, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    answers, modules = (json.loads(line) for line in ended.stdout.splitlines()[-2:])
    expected = model.predict(REQUEST)
    assert [row[0] for row in answers["data"]] == expected["label"].tolist()
    np.testing.assert_allclose([row[1:] for row in answers["data"]], expected[["score", "distance"]], rtol=1e-4)
    assert not {"kshot", "dvc", "prefect", "great_expectations"} & set(modules)


def folder_of(uri: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(uri))


def test_the_model_holds_the_science_and_its_weights_and_no_pickle(project):
    folder = folder_of(project[1])
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not {name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth", ".pt2"))}
    assert any(name.endswith("/embedding.safetensors") for name in files)
    code = [name for name in files if name.startswith("code/")]
    assert any(name.endswith("/losses/triplet.py") for name in code)
    assert not [name for name in code if "/lifecycle/" in name or "/cli/" in name]


def test_it_says_what_it_needs_and_what_goes_in_and_out(project):
    folder = folder_of(project[1])
    needs = (folder / "requirements.txt").read_text().split()
    assert f"torch=={torch.__version__.split('+')[0]}" in [need.split("+")[0] for need in needs]
    assert {need.split("==")[0] for need in needs} == {*package.NEEDS, "mlflow"}
    signature = mlflow.models.get_model_info(project[1]).signature
    assert signature.inputs.input_names() == ["image", "label"]
    assert signature.inputs.required_input_names() == ["image"]
    assert signature.outputs.input_names() == ["label", "score", "distance", "unknown"]


def test_the_kept_example_is_a_request_of_images_as_a_person_has_them(project, model):
    root, uri, _ = project
    example = mlflow.pyfunc.load_model(uri).input_example
    first = read_manifest(root)["class"].iloc[0]
    assert model.predict(example)["label"].tolist() in ([first], [read_manifest(root)["class"].unique()[1]])
    shown = decode(base64.b64decode(example["image"][0]), 1)
    np.testing.assert_array_equal(255 - shown, read_images(root)[0])  # packed inverted, as the model was trained


def test_logging_a_model_leaves_no_copy_of_the_code_imported(project):
    root = project[0]
    before, places = {name for name in sys.modules if name.startswith("kshot_")}, list(sys.path)
    log(root, seed=3)
    assert {name for name in sys.modules if name.startswith("kshot_")} <= before
    assert sys.path == places


def test_a_model_whose_files_are_not_as_they_were_logged_refuses_to_load(
    project: tuple[Path, str, str], tmp_path: Path
) -> None:
    place = Path(mlflow.artifacts.download_artifacts(artifact_uri=project[1], dst_path=str(tmp_path)))
    mlflow.pyfunc.load_model(str(place))
    # Python wrote no compiled code that a later load would read before the source.
    assert all(found.is_file() for found in place.rglob("__pycache__")) and not list(place.rglob("*.pyc"))
    code = place / "served_model.py"
    code.write_text(f"{code.read_text()}# one more line\n")
    with pytest.raises(MlflowException, match="not as it was registered: served_model.py was changed"):
        mlflow.pyfunc.load_model(str(place))
