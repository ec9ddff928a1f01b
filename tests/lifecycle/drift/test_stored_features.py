"""Drift takes stored features where weights, preparation and images are the same, and computes the others."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from kshot.evaluation.inference import inference_method
from kshot.lifecycle.data.packed import read_images, read_manifest
from kshot.lifecycle.drift.stored_features import MANIFEST, embedded, stored_features
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.stages import embed, train
from kshot.methods.method import Method
from kshot.nets.backbones.backbone import create_backbone
from kshot.nets.embedding import Embedding
from tests.lifecycle import packed_project
from tests.lifecycle.packed_project import PROTOTYPE
from tests.lifecycle.stages.test_features import WEIGHTS, params


@pytest.fixture
def root(tmp_path: Path) -> Path:
    packed_project.write(tmp_path)
    torch.manual_seed(0)
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), tmp_path / WEIGHTS)
    embed.run(tmp_path, params())
    train.run(tmp_path, params())
    write_lock(tmp_path, embedded_from="a.dir")
    return tmp_path


def write_lock(root: Path, embedded_from: str) -> None:
    packed = layout.PACKED.as_posix()
    table = {"path": MANIFEST.as_posix(), "md5": file_md5(root / MANIFEST)}
    stages = {
        "ingest": {"outs": [{"path": packed, "md5": "a.dir"}]},
        "embed": {"deps": [{"path": packed, "md5": embedded_from}]},
        "split": {"deps": [table]},
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def model(root: Path) -> Method:
    return inference_method(root / layout.MODEL, PROTOTYPE, torch.device("cpu"))


def test_known_images_are_not_seen_by_the_backbone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, chosen = model(root), [5, 0, 3]
    pixels = np.stack([read_images(root)[row] for row in chosen])
    contents = read_manifest(root)["content"].iloc[chosen].tolist()
    computed = embedded(method, pixels, contents, None)
    stored = stored_features(root, method)
    assert stored is not None
    seen: list[int] = []
    features = Embedding.features
    monkeypatch.setattr(Embedding, "features", lambda self, part: seen.append(len(part)) or features(self, part))
    torch.testing.assert_close(embedded(method, pixels, contents, stored), computed, rtol=1e-3, atol=1e-3)
    assert seen == []
    torch.testing.assert_close(
        embedded(method, pixels, [contents[0], "new", "newer"], stored), computed, rtol=1e-3, atol=1e-3
    )
    assert seen == [2]


def test_features_of_other_images_or_weights_are_not_taken(root: Path) -> None:
    method = model(root)
    write_lock(root, embedded_from="b.dir")
    assert stored_features(root, method) is None, "ingest ran again, and embed did not"
    write_lock(root, embedded_from="a.dir")
    kept = root / layout.EMBEDDED / "embedded.json"
    kept.write_text(kept.read_text().replace("test_resnet", "other"))
    assert stored_features(root, method) is None
