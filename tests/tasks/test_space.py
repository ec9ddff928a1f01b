"""The space of tasks: it recovers the parameters of the points, and outlyingness depends only on the position."""

import pytest
import torch

from kshot.tasks.space import learn_space, outlyingness

D, TRACE = 6, 3.0


def classes(count, images, generator, shift=0.0):
    """Embedded classes: means with variance 4 in each direction, images with variance TRACE / D about them."""
    means = 2 * torch.randn(count, 1, D, generator=generator) + shift
    return means + (TRACE / D) ** 0.5 * torch.randn(count, images, D, generator=generator)


@pytest.fixture(scope="module")
def space():
    generator = torch.Generator().manual_seed(0)
    return learn_space(list(classes(400, 5, generator)), list(classes(200, 20, generator)), generator)


def test_the_spread_within_a_class_is_found_again(space):
    assert space.trace == pytest.approx(TRACE, rel=0.05)
    torch.testing.assert_close(space.root @ space.root.T, TRACE / D * torch.eye(D).double(), rtol=0, atol=0.05)
    assert space.trace_square == pytest.approx(TRACE**2 / D, rel=0.1)


def test_the_axes_make_both_covariances_diagonal(space):
    within = space.root @ space.root.T
    torch.testing.assert_close(space.axes.T @ within @ space.axes, torch.eye(D).double(), rtol=0, atol=1e-9)
    # Between over within is 4 over TRACE / D in every direction.
    assert space.ratios.tolist() == pytest.approx([4 / (TRACE / D)] * D, rel=0.35)
    assert space.ratios.mean() == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("shots", [1, 5, 50])
@pytest.mark.parametrize("ways", [2, 20])
def test_new_classes_of_the_same_kind_are_at_1_whatever_their_number_and_shots(space, ways, shots):
    generator = torch.Generator().manual_seed(1)
    counts = torch.full((ways,), float(shots)).double()
    found = [outlyingness(classes(ways, shots, generator).double().mean(1), counts, space) for _ in range(4000 // ways)]
    assert sum(found) / len(found) == pytest.approx(1.0, abs=0.06)


def test_what_lies_elsewhere_is_farther_out(space):
    generator = torch.Generator().manual_seed(2)
    counts = torch.full((50,), 5.0).double()
    near, far = (outlyingness(classes(50, 5, generator, shift).double().mean(1), counts, space) for shift in (0.0, 6.0))
    assert far > near + 5


def test_more_directions_than_images_are_no_obstacle():
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(3, 1, 40, generator=generator) + 0.1 * torch.randn(3, 2, 40, generator=generator)
    space = learn_space(list(points), list(points), generator)
    assert all(torch.isfinite(value).all() for value in (space.axes, space.ratios, space.root, space.frequencies))
    assert outlyingness(points.double().mean(1), torch.full((3,), 2.0).double(), space) == pytest.approx(1)  # by itself


def test_images_that_are_all_alike_still_give_a_space():
    points = torch.arange(3.0)[:, None, None].expand(3, 2, 4)
    space = learn_space(list(points), list(points), torch.Generator().manual_seed(0))
    assert torch.isfinite(space.axes).all()


def test_without_two_images_of_a_class_there_is_no_spread():
    points = list(torch.randn(3, 1, 4))
    with pytest.raises(ValueError, match="no class has two images"):
        learn_space(points, points, torch.Generator())
