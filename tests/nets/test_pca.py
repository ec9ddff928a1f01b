import pytest
import torch
from sklearn.decomposition import PCA

from kshot.errors import DataError
from kshot.nets.pca import principal_axes, quantise, restore


def cloud(count=200, dim=12):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, dim, generator=generator) * torch.arange(1, dim + 1) + 5


@pytest.mark.parametrize("whiten", [False, True])
def test_axes_are_those_of_scikit_learn_but_for_their_signs(whiten):
    points = cloud()
    oracle = PCA(4, whiten=whiten, svd_solver="full").fit(points.double().numpy())
    found = principal_axes(points, 4, whiten=whiten)
    ours, theirs = points @ found.axes.T + found.offset, torch.from_numpy(oracle.transform(points.double().numpy()))
    torch.testing.assert_close(ours.abs(), theirs.abs().float(), rtol=1e-3, atol=1e-3)
    assert found.kept == pytest.approx(oracle.explained_variance_ratio_.sum(), rel=1e-6)


def test_all_directions_keep_every_distance():
    points = cloud()
    found = principal_axes(points)
    turned = points @ found.axes.T + found.offset
    torch.testing.assert_close(torch.pdist(turned), torch.pdist(points), rtol=1e-4, atol=1e-3)
    assert found.kept == pytest.approx(1)


def test_a_direction_without_spread_is_not_blown_up_by_whitening():
    points = cloud(dim=3)
    points[:, 1] = 7
    found = principal_axes(points, whiten=True)
    assert (points @ found.axes.T + found.offset).abs().max() < 10


def test_more_directions_than_images_can_tell_are_refused():
    with pytest.raises(DataError, match=r"9 are asked for and 9 training images tell 8 at most; lower"):
        principal_axes(cloud(9), 9)
    with pytest.raises(DataError, match="13 are asked for of embeddings of 12 numbers"):
        principal_axes(cloud(), 13)


def test_eight_bits_hold_every_number_to_half_a_step_in_a_quarter_of_the_room():
    points = cloud()
    bank = quantise(points)
    assert bank.codes.dtype == torch.int8
    assert (restore(bank) - points).abs().le(bank.scale / 2 * 1.001).all()
    assert bank.bytes == points.numel() + 12 * 4


def test_a_dimension_of_zeros_stays_zero():
    assert torch.equal(restore(quantise(torch.zeros(3, 2))), torch.zeros(3, 2))
