"""Stage embed in shards: new images alone are embedded, and a killed embed repeats one shard at most."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from kshot.data.shards.feature_shards import ShardedFeatures
from kshot.data.shards.shard_plan import ShardSizes
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import train
from kshot.lifecycle.stages.features import FEATURES, read_features
from kshot.lifecycle.stages.shards.embed_images import IMAGES, write_features
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.nets.backbones.backbone import create_backbone
from kshot.nets.embedding import load_settings
from kshot.nets.frozen_features import FrozenFeatures
from kshot.params.schema import Params, params_from
from tests.lifecycle import packed_project
from tests.lifecycle.dvc_outputs import save
from tests.lifecycle.raw_project import REPOSITORY, files_below
from tests.short_names import set_train

WEIGHTS = "weights.safetensors"
SMALL = ShardSizes(least=16, most=64)  # images
BATCH = 8


def params(views: int = 1, dim: int | None = 8) -> Params:
    mapping = yaml.safe_load(packed_project.params((REPOSITORY / "params.yaml").read_text()))
    mapping["evaluate"]["views"] = views
    mapping["embed"]["batch_size"] = BATCH
    set_train(mapping, backbone="test_resnet", checkpoint=WEIGHTS, input_size=32, adaptation="projection", head_dim=dim)
    return params_from(mapping)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with DVC and 144 packed images."""
    packed_project.write(tmp_path, rotations=True)
    torch.manual_seed(0)
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), tmp_path / WEIGHTS)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    return tmp_path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The ids of the images that are computed, call by call."""
    found: list[int] = []
    make = FrozenFeatures.__call__

    def noted(self: FrozenFeatures, ids: Any) -> Any:
        found.extend(ids.tolist())
        return make(self, ids)

    monkeypatch.setattr(FrozenFeatures, "__call__", noted)
    return found


def set_images(root: Path, rows: Any) -> None:
    """Let the packed images be these of all."""
    file, table = root / layout.PACKED / "images.npy", root / layout.PACKED / "manifest.parquet"
    for path in (file, table):
        if not (whole := path.with_suffix(".whole")).exists():
            path.rename(whole)
    np.save(file, np.load(file.with_suffix(".whole"))[rows])
    pd.read_parquet(table.with_suffix(".whole")).iloc[rows].reset_index(drop=True).to_parquet(table, index=False)


def embed(root: Path, views: int = 1, sizes: ShardSizes = SMALL) -> dict[str, bytes]:
    write_features(root, params(views), sizes)
    return files_below(root / layout.EMBEDDED)


def fresh(root: Path, views: int = 1) -> dict[str, bytes]:
    """The output where nothing is stored."""
    store = ShardStore(root, "embed")
    store.delete_notes(but=())
    store.delete_shards(but=())
    return embed(root, views)


@pytest.mark.parametrize("views", [1, 2])
def test_new_images_alone_are_embedded_and_all_features_are_those_of_a_first_run(
    root: Path, computed: list[int], views: int, capsys: pytest.CaptureFixture[str]
) -> None:
    new = np.arange(144) % 8 == 7
    set_images(root, np.flatnonzero(~new))
    assert embed(root, views) and len(computed) == 4 * 126
    save(root, "embed", layout.EMBEDDED)
    set_images(root, np.arange(144))
    computed.clear()
    found = embed(root, views)
    compared, made = computed[:BATCH], computed[BATCH:]
    assert sorted(made) == [id_ for id_ in range(4 * 144) if id_ % 8 == 7] and not set(compared) & set(made)
    assert "576 images" in (said := capsys.readouterr().out) and "504 of them stored before, 72 in" in said
    assert found == fresh(root, views)


def test_training_on_shards_in_part_of_another_run_gives_the_same_weights(root: Path) -> None:
    set_images(root, np.arange(1, 144))
    embed(root)
    save(root, "embed", layout.EMBEDDED)
    set_images(root, np.arange(144))
    weights = []
    for sizes in (SMALL, IMAGES):
        embed(root, sizes=sizes)
        train.run(root, params())
        features = read_features(root, load_settings(root / layout.MODEL))
        assert isinstance(features, ShardedFeatures) and features.shape == (4 * 144, 96)
        weights.append((root / layout.MODEL / "embedding.safetensors").read_bytes())
    whole = np.array(features)
    for path in (root / layout.EMBEDDED).iterdir():
        if path.suffix == ".npy" or path.name == "features.json":
            path.unlink()
    np.save(root / layout.EMBEDDED / FEATURES, whole)  # as an older kshot wrote them
    train.run(root, params())
    assert weights == 2 * [(root / layout.MODEL / "embedding.safetensors").read_bytes()]


def test_an_embed_that_was_killed_repeats_one_shard_at_most(
    root: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, calls = FrozenFeatures.__call__, 0

    def killed(self: FrozenFeatures, ids: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return make(self, ids)

    with monkeypatch.context() as patch:
        patch.setattr(FrozenFeatures, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            embed(root)
    first = set(computed)
    assert len(first) >= 3 * SMALL.least
    computed.clear()
    found = embed(root)
    assert not set(computed[BATCH:]) & first and len(first) + len(computed) - BATCH == 4 * 144
    assert found == fresh(root)


def test_a_machine_that_computes_other_bits_embeds_all_images(
    root: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(root)
    save(root, "embed", layout.EMBEDDED)
    make = FrozenFeatures.__call__
    monkeypatch.setattr(FrozenFeatures, "__call__", lambda self, ids: make(self, ids) * np.float32(1.000001))
    computed.clear()
    found = embed(root)
    assert len(computed) == BATCH + 4 * 144
    assert "embed: this machine computes other features than the stored ones; it embeds all" in capsys.readouterr().out
    assert found == fresh(root)


def test_other_weights_share_no_feature_and_a_changed_shard_is_embedded_again(root: Path, computed: list[int]) -> None:
    before = embed(root)
    save(root, "embed", layout.EMBEDDED)
    computed.clear()
    assert embed(root) == before and len(computed) == BATCH
    save(root, "embed", layout.EMBEDDED)
    (note, *_) = ShardStore(root, "embed").folder.glob("*.json")
    name = next(name for name in before if name.endswith(".npy") and name in note.read_text())
    cached = root / ".dvc/cache/files/md5" / name[:2] / name[2:-4]
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    computed.clear()
    assert embed(root) == before and 0 < len(computed) - BATCH <= SMALL.most
    save_file(create_backbone("test_resnet", channels=3, size=32).state_dict(), root / WEIGHTS)
    computed.clear()
    assert not {name for name in embed(root) if name.endswith(".npy")} & before.keys()
    assert len(computed) == 4 * 144
