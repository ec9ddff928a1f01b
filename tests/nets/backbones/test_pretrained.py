import pytest
import torch
from safetensors.torch import save_file

from kshot.errors import CheckpointError
from kshot.nets.backbones.backbone import Start, create_backbone
from kshot.nets.backbones.conv import conv4
from kshot.nets.backbones.pretrained import load_weights
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of


def test_weights_of_another_network_are_told_tensor_by_tensor(tmp_path):
    save_file(conv4(3, 28).state_dict(), tmp_path / "other.safetensors")
    network = conv4(1, 28)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    save_file({"0.bias": torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"0.weight missing.*name the backbone"):
        load_weights(network, tmp_path / "other.safetensors")
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_shape_that_differs_is_told_with_both_shapes(tmp_path):
    weights = conv4(1, 28).state_dict()
    weights["4.bias"] = torch.zeros(3)
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=r"4.bias \(3,\) instead of \(64,\)"):
        load_weights(conv4(1, 28), tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"not safetensors"])
def test_a_file_that_is_none_is_told(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_weights(conv4(1, 28), path)


def test_a_pickle_is_opened_only_when_it_is_allowed(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": conv4(1, 28).state_dict()}, path)
    with pytest.raises(CheckpointError, match=r"no .safetensors file.*train.network.pickle"):
        load_weights(conv4(1, 28), path)
    network = conv4(1, 28)
    assert load_weights(network, path, pickle=True) == []
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(saved[key], value) for key, value in network.state_dict().items())


def test_a_pickle_that_would_run_code_is_refused_all_the_same(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": print}, path)
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_weights(conv4(1, 28), path, pickle=True)


def test_an_embedding_of_kshots_is_a_start_for_another(tmp_path):
    settings = {"backbone": "conv4", "head_dim": 7, "l2_normalize": False}
    trained = Embedding(settings_of({**settings, "ingest": {"size": 28, "channels": 1, "invert": True}}))
    save_embedding(trained, tmp_path)
    network = create_backbone("conv4", channels=1, size=28, start=Start(checkpoint=tmp_path / "embedding.safetensors"))
    assert all(torch.equal(trained.backbone.state_dict()[key], value) for key, value in network.state_dict().items())


def test_grey_weights_see_grey_images_in_three_colours_as_they_saw_one(tmp_path):
    grey = conv4(1, 28).eval()
    save_file(grey.state_dict(), tmp_path / "grey.safetensors")
    colour = conv4(3, 28)
    notes = load_weights(colour, tmp_path / "grey.safetensors")
    assert notes == ["grey.safetensors: 0.weight, of grey, was spread over colour images"]
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(colour.eval()(images.expand(-1, 3, -1, -1)), grey(images), rtol=1e-4, atol=1e-5)
