import json

import numpy as np
import pytest
import torch

from kshot.errors import CheckpointError
from kshot.nets import embedding as module
from kshot.nets.embedding import Embedding, embed, images_at_once, in_precision, load_embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.pca import principal_axes


def settings(**changes):
    return {
        "backbone": "conv4",
        "head_dim": None,
        "l2_normalize": False,
        "batch_norm": "eval",
        "ingest": {"size": 28, "channels": 1, "invert": True},
        **changes,
    }


def described(**changes):
    return settings_of(settings(**changes))


SIZE_32 = {"size": 32, "channels": 1, "invert": False}


def images(count=7):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)


def test_head_and_unit_length_are_as_asked():
    embedding = Embedding(described(head_dim=10, l2_normalize=True))
    points = embed(embedding, images(), np.arange(7))
    assert points.shape == (7, 10)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(7))


def test_bytes_and_floats_of_the_same_pixels_embed_alike():
    embedding = Embedding(described()).eval()
    pixels = torch.from_numpy(images()).permute(0, 3, 1, 2)
    assert torch.equal(embedding(pixels), embedding(pixels.float()))


def test_the_batch_that_an_image_is_embedded_in_does_not_matter(monkeypatch):
    embedding = Embedding(described())
    together = embed(embedding, images(), np.arange(7))
    monkeypatch.setattr(module, "AT_ONCE", 2)
    apart = embed(embedding, images(), np.arange(7))
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "most"), [(28, 512), (84, 512), (105, 327), (288, 43), (5_000, 1)])
def test_fewer_large_images_are_embedded_at_once(size, most):
    small, large = Embedding(described()), Embedding(described(input={"size": size, "interpolation": "bicubic"}))
    pixels = np.broadcast_to(np.uint8(0), (1_000, size, size, 1))
    assert (images_at_once(small, pixels), images_at_once(large, images())) == (most, most)


def test_no_larger_batch_reaches_the_network():
    embedding, seen = Embedding(described(input={"size": 288, "interpolation": "bilinear"})), []
    embedding.backbone.forward = lambda pixels: seen.append(len(pixels)) or pixels.mean((2, 3)).expand(-1, 64)
    assert embed(embedding, images(100), np.arange(100)).shape == (100, 64)
    assert seen == [43, 43, 14]


def test_features_are_mapped_as_many_at_once_whatever_the_size_of_the_image():
    wide = Embedding(described(input={"size": 288, "interpolation": "bicubic"}))
    assert images_at_once(wide, np.zeros((1_000, 64), np.float32)) == 512


def test_embedding_images_leaves_mode_and_statistics_alone():
    embedding = Embedding(described()).train()
    before = {key: value.clone() for key, value in embedding.state_dict().items()}
    with in_precision(embedding, bf16=True):
        embed(embedding, images(), np.arange(7))
    assert not embedding.in_bf16
    assert embedding.training
    assert all(torch.equal(before[key], value) for key, value in embedding.state_dict().items())


def test_no_image_gives_no_point():
    assert embed(Embedding(described()), images(), np.arange(0)).shape == (0, 64)


def test_saved_and_loaded_embeds_the_same(tmp_path):
    embedding = Embedding(described(head_dim=5, trained_on=["Ελληνικά/άλφα"])).train()
    embedding(torch.from_numpy(images()).permute(0, 3, 1, 2))  # moves the batch norm's statistics
    save_embedding(embedding, tmp_path / "model")
    loaded = load_embedding(tmp_path / "model")
    assert not loaded.training
    assert loaded.settings == embedding.settings
    assert torch.equal(embed(loaded, images(), np.arange(7)), embed(embedding, images(), np.arange(7)))


def test_equal_embeddings_are_saved_as_equal_bytes(tmp_path):
    embedding = Embedding(described())
    for name in ("a", "b"):
        save_embedding(embedding, tmp_path / name)
    for file in ("embedding.safetensors", "embedding.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_model_whose_parts_were_not_scaled_is_not_loaded_as_one_with_scaled_parts(tmp_path):
    embedding = Embedding(described(backbone="resnet10t", features=["layer1", "layer2"], ingest=SIZE_32))
    del embedding.backbone.part_length
    save_embedding(embedding, tmp_path)
    with pytest.raises(CheckpointError, match="part_length"):
        load_embedding(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other settings"])
def test_a_damaged_folder_is_told(tmp_path, damage):
    save_embedding(Embedding(described()), tmp_path)
    weights = tmp_path / "embedding.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        (tmp_path / "embedding.json").write_text(json.dumps(settings(head_dim=3)))
    with pytest.raises(CheckpointError, match="holds no embedding that can be loaded"):
        load_embedding(tmp_path)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e4])
def test_principal_axes_keep_distances_far_from_the_origin(offset):
    points = torch.randn(30, 64, generator=torch.Generator().manual_seed(0)) + offset
    embedding = Embedding(described())
    found = principal_axes(points, 20)
    embedding.reduce(found.axes, found.offset)
    exact = points.double() @ found.axes.double().T
    apart = torch.pdist(embedding(points))
    torch.testing.assert_close(apart, torch.pdist(exact).float(), rtol=1e-5, atol=1e-5)
