"""A batch without an image gives every loss 0, with a gradient of zero."""

import pytest
import torch

from kshot import losses
from kshot.losses.pml_loss import PmlLoss
from kshot.losses.triplet import MININGS
from kshot.mining.pairs import PAIR_MININGS
from kshot.mining.triplets import Triplets
from kshot.params.pml_losses import PML_LOSSES

NONE = torch.zeros(0, dtype=torch.int64)
LOSSES = {
    **{
        f"triplet {name}": lambda x, y, name=name: losses.triplet_loss(x, y, 0.2, name, "euclidean") for name in MININGS
    },
    **{
        f"contrastive {name}": lambda x, y, name=name: losses.contrastive_loss(x, y, 1.0, name) for name in PAIR_MININGS
    },
    "soft margin": lambda x, y: losses.triplet_loss(x, y, None, "batch_hard"),
    "given triplets": lambda x, y: losses.given_triplets_loss(x, Triplets(y, y, y), 0.2),
    "lifted structure": lambda x, y: losses.lifted_structure_loss(x, y, 1.0),
    "generalized": lambda x, y: losses.generalized_lifted_structure_loss(x, y, 1.0),
    "n-pair": losses.n_pair_loss,
    "nt_xent": lambda x, y: losses.nt_xent_loss(x, y, 0.1),
    "supervised contrastive": lambda x, y: losses.supervised_contrastive_loss(x, y, 0.1),
    "smooth_ap": lambda x, y: losses.smooth_ap_loss(x, y, 0.01),
    "prototypical": lambda x, y: losses.prototypical_loss(x, y, x, y),
    **{name: PmlLoss(name, {}, n_classes=3, dim=4, seed=0) for name in PML_LOSSES},
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_image_gives_zero_and_a_gradient_of_zero(name):
    points = torch.zeros(0, 4, requires_grad=True)
    found = LOSSES[name](points, NONE)
    found.backward()
    assert found.item() == 0 and found.ndim == 0
    assert points.grad.shape == (0, 4)


@pytest.mark.parametrize("name", ["triplet batch_all", "contrastive all_pairs", "nt_xent", "smooth_ap"])
def test_it_is_as_precise_as_for_a_batch(name):
    assert LOSSES[name](torch.zeros(0, 4, dtype=torch.float64), NONE).dtype == torch.float64
    assert LOSSES[name](torch.zeros(0, 4, dtype=torch.float16), NONE).dtype == torch.float32
