"""A model with plug-ins: trained, used for prediction, and served without the project or the distribution."""

import base64
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from kshot import plugins
from kshot.errors import CheckpointError, ParamsError
from kshot.estimator.load_model import load
from kshot.evaluation.inference import classifier_for, inference_method, inference_of, load_inference, save_inference
from kshot.lifecycle.project import layout
from kshot.lifecycle.serving import package, plugin_copy
from kshot.lifecycle.stages import train
from kshot.lifecycle.tracking import store
from kshot.nets.embedding import embed
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.params.schema import load_params
from kshot.params.sections.ingest import Ingest
from kshot.plugins import Plugin
from tests.lifecycle import packed_project
from tests.lifecycle.raw_project import REPOSITORY
from tests.lifecycle.serving.test_package import BARE, folder_of
from tests.plugin_distribution import install, of_project
from tests.plugins_page import files

HEAD = """
import extra.more
from extra import more as again
import torch, numpy as np

def closest(support, labels, query, n_way):
    from extra.more import distances
    assert distances is extra.more.distances is again.distances and np.ndim(1) == 0
    found = distances(query, support)
    return torch.stack([-found[:, :, labels == label].amin(2) for label in range(n_way)], 2)
"""
MORE = """
import torch
import kshot.distances

def distances(left, right):
    return kshot.distances.squared_euclidean(left, right)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> Path:
    """A tiny project with a method of its own, and a distribution with a backbone and a classifier."""
    page = {name.removeprefix("src/").removeprefix("kshot-extra/src/"): text for name, text in files().items()}
    place = tmp_path / "site-packages"
    theirs = {"kshot_extra/small.py": page["kshot_extra/small.py"], "extra/head.py": HEAD, "extra/more.py": MORE}
    entries = {"backbones": {"small": "kshot_extra.small:small"}, "classifiers": {"closest": "extra.head:closest"}}
    monkeypatch.syspath_prepend(
        str(install(place, theirs, entries, requires=("numpy>=2", "kshot", "nothing; extra == 'x'")))
    )
    root = tmp_path / "project"
    packed_project.write(root)
    of_project(root, {"shop/scaled.py": page["shop/scaled.py"]}, {"methods": {"scaled": "shop.scaled:Scaled"}})
    text = packed_project.params((REPOSITORY / "params.yaml").read_text())
    for old, new in (("name: metric ", "name: scaled "), ("backbone: conv4 ", "backbone: small ")):
        assert old in text
        text = text.replace(old, new)
    (root / "params.yaml").write_text(text)
    plugins.use_project(root)
    return root


@pytest.fixture
def trained(root: Path) -> Path:
    train.run(root, load_params(root / "params.yaml"))
    (root / layout.EVALUATION).mkdir(parents=True)
    save_inference(inference_of("scaled", "closest", "eval"), root / layout.EVALUATION)
    return root


def test_it_answers_the_same_served_in_a_process_that_has_none_of_the_code(trained: Path, tmp_path: Path) -> None:
    root = trained
    store.connect(root)
    run = mlflow.MlflowClient().create_run(mlflow.get_experiment_by_name("kshot").experiment_id)
    address = package.log_model(root, root / layout.MODEL, run.info.run_id).address
    sent = package.example(root, root / layout.MODEL)
    request = tmp_path / "request.json"
    sent.assign(image=[base64.b64encode(one).decode() for one in sent["image"]]).to_json(request, orient="split")
    ended = subprocess.run(
        [sys.executable, "-I", "-c", BARE, str(folder_of(address)), str(request)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answer, modules = ended.stdout.splitlines()
    assert not {"shop", "extra", "kshot_extra", "kshot"} & set(json.loads(modules))

    inference = load_inference(root / layout.EVALUATION)
    assert (inference.plugin, inference.together, inference.by) == ("kshot-extra 1.2.0", False, "closest")
    method = inference_method(root / layout.MODEL, inference)
    assert type(method).__name__ == "Scaled"
    images = np.load(root / layout.PACKED / "images.npy", mmap_mode="r")
    names = [packed_project.CLASSES[0], packed_project.CLASSES[1]]
    last = packed_project.IMAGES - 1
    points = embed(method, images, np.array([0, packed_project.IMAGES, last]))
    scores = classifier_for(method, "closest")(points[None, :2], torch.tensor([0, 1]), points[None, 2:], 2)[0]
    found = pd.DataFrame(**{key: value for key, value in json.loads(answer).items() if key != "index"})
    assert found["label"].tolist() == [names[int(scores.argmax())]]
    np.testing.assert_allclose(found["score"], scores.softmax(1).max().item(), rtol=1e-4)


def test_a_model_without_its_plugins_says_which_distribution_is_needed(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trained
    settings = json.loads((root / layout.MODEL / "embedding.json").read_text())
    assert settings["plugins"] == {"backbones": "kshot-extra 1.2.0", "methods": ""}
    assert "small" in repr(load(root / layout.MODEL))
    monkeypatch.setattr(plugins, "_project", plugins._Project())
    with pytest.raises(CheckpointError, match="the method scaled comes from its project's own code; work in that"):
        load(root / layout.MODEL)
    plugins.use_project(root)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not place.endswith("/site-packages")])
    needed = "closest comes from kshot-extra 1.2.0, which is not installed here; pip install kshot-extra==1.2.0"
    with pytest.raises(CheckpointError, match=f"cannot predict here: the classifier {needed}"):
        load(root / layout.MODEL)
    (root / layout.EVALUATION / "inference.json").unlink()
    with pytest.raises(CheckpointError, match="cannot predict here: the backbone small comes from kshot-extra 1.2.0"):
        load(root / layout.MODEL)


def test_what_plugins_need_is_pinned_as_it_is_installed(root: Path) -> None:
    ingest = Ingest(size=16, channels=1, invert=False, crop="none")
    settings = EmbeddingSettings("small", ingest, method={"name": "scaled"})
    found = plugin_copy.needed(root, settings, "closest")
    assert sorted(one.name for one in found) == ["closest", "scaled", "small"]
    assert plugin_copy.requirements(root, found) == [f"numpy=={np.__version__}"]
    assert sorted(plugin_copy.files(root, found)) == [
        "extra/head.py",
        "extra/more.py",
        "kshot_extra/small.py",
        "shop/scaled.py",
    ]


def test_scores_of_another_shape_are_refused(root: Path) -> None:
    (plugin,) = (one for one in plugins.of_kind("classifiers") if one.name == "closest")
    from kshot.evaluation.inference import _checked_scores

    wrong = torch.zeros(2, 3, 4)
    with pytest.raises(
        ParamsError, match=r"classifier closest .* returned \(2, 3, 4\); needs scores of shape \(2, 3, 5"
    ):
        _checked_scores(plugin, lambda *_: wrong, torch.zeros(2, 5, 1), torch.arange(5), torch.zeros(2, 3, 1), 5)


@pytest.mark.parametrize(
    ("source", "led"),
    [
        ("import shop", "import k.c.shop as shop"),
        ("import shop.a as b", "import k.c.shop.a as b"),
        ("import shop.a", "import k.c.shop.a; import k.c.shop as shop"),
        ("import os, kshot", "import os; import k as kshot"),
        ("from shop.a import (\n    b,\n    c as d,\n)\nx = 1", "from k.c.shop.a import b, c as d\nx = 1"),
        ("from . import a", "from . import a"),
        ("import shopping\nshop = 'import shop'", "import shopping\nshop = 'import shop'"),
        ("é = 1; import shop; y = 2", "é = 1; import k.c.shop as shop; y = 2"),
        (
            "if 1:\n    from shop import a\n    from kshot import b",
            "if 1:\n    from k.c.shop import a\n    from k import b",
        ),
    ],
)
def test_imports_are_led_to_the_copies(source: str, led: str) -> None:
    assert plugin_copy.led_to(source.encode(), {"shop": "k.c.shop", "kshot": "k"}).decode() == led


def test_names_inside_a_registered_model_are_those_that_came_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "plugins.json"
    inside.write_text(json.dumps([dataclasses.asdict(Plugin("losses", "one", "json:dumps", "a", "1"))]))
    monkeypatch.setattr(plugins, "INSIDE", inside)
    (found,) = plugins.of_kind("losses")
    assert plugins.load(found) is json.dumps and plugins.of_kind("methods") == ()
