import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import batch_norm

from kshot.methods.episode_norm import EpisodeNorm, normalise_by_episode, refer_to


def maps(count=6):
    return 3 + 2 * torch.randn(count, 4, 5, 5, generator=torch.Generator().manual_seed(0))


def norm():
    given = nn.BatchNorm2d(4)
    nn.init.uniform_(given.weight, 0.5, 2.0)
    nn.init.uniform_(given.bias)
    return given


def test_it_is_batch_norm_over_the_episode_with_the_scale_and_shift_that_were_there():
    given = norm()
    wanted = batch_norm(maps(), None, None, given.weight, given.bias, training=True)
    torch.testing.assert_close(EpisodeNorm(given)(maps()), wanted)


def test_queries_do_not_change_what_refers_to_the_support():
    made = EpisodeNorm(norm())
    with refer_to([made], 3):
        alone, together = made(maps()[:4]), made(maps())
    torch.testing.assert_close(together[:4], alone)
    assert made.reference is None and not torch.allclose(made(maps())[:4], alone)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "regnetx_002", "mobilenetv3_small_050"])
def test_norms_of_timm_keep_their_activations(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0, in_chans=1)
    pixels = torch.rand(8, 1, 64, 64)
    # Training mode normalises by the batch too; drop-out and its like are off in these.
    wanted = network.train()(pixels)
    made = normalise_by_episode(network)
    assert made and not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    torch.testing.assert_close(network(pixels), wanted, atol=1e-3, rtol=1e-3)
