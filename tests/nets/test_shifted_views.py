"""Views compared with images that are shifted pixel by pixel, and points that are means over views."""

import numpy as np
import pytest
import torch

from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.shifted_views import views

INGEST = {"size": 16, "channels": 1, "invert": False}


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Each pixel is the one that many places down and right, of those that there are the nearest."""
    side = len(image)
    found = np.empty_like(image)
    for row in range(side):
        for column in range(side):
            found[row, column] = image[min(max(row + down, 0), side - 1), min(max(column + right, 0), side - 1)]
    return found


@pytest.mark.parametrize(("side", "far"), [(12, 1), (32, 1), (48, 2), (96, 3)])
def test_five_views_are_the_image_and_itself_moved_along_the_diagonals(side: int, far: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    found = views(torch.from_numpy(image)[None, None], 5)
    expected = [image, *(moved(image, down, right) for down in (-far, far) for right in (-far, far))]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one[0, 0].numpy(), other)


def test_two_views_are_the_image_and_its_mirror_image() -> None:
    image = torch.arange(12).view(1, 1, 3, 4)
    same, mirrored = views(image, 2)
    assert same is image
    assert mirrored[0, 0].tolist() == [[3, 2, 1, 0], [7, 6, 5, 4], [11, 10, 9, 8]]


def test_one_view_is_the_image_itself() -> None:
    pixels = torch.zeros(2, 1, 12, 12, dtype=torch.uint8)
    assert views(pixels, 1)[0] is pixels


def test_another_count_is_refused() -> None:
    with pytest.raises(ValueError, match="4 views; needs one of 1, 2, 5"):
        views(torch.zeros(1, 1, 12, 12), 4)


@pytest.mark.parametrize("l2_normalize", [False, True])
def test_a_point_is_the_mean_over_the_views_before_unit_length(l2_normalize: bool) -> None:
    torch.manual_seed(0)
    settings = {"backbone": "conv4", "head_dim": 6, "l2_normalize": l2_normalize, "batch_norm": "eval"}
    known = settings_of({**settings, "ingest": INGEST})
    embedding, seen = Embedding(known).eval(), Embedding(known, views=5).eval()
    seen.load_state_dict(embedding.state_dict())
    pixels = torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8)
    one = embedding(pixels)
    found = seen(pixels)
    mean = sum(embedding.head(embedding.features(view)) for view in views(pixels, 5)) / 5
    expected = torch.nn.functional.normalize(mean, dim=1) if l2_normalize else mean
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, one)
