import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, normalize

from kshot.losses.pml_loss import PmlLoss
from kshot.params.pml_losses import PML_LOSSES
from tests.losses import batches

LEARN = {
    "margin_beta", "proxy_nca", "proxy_anchor", "soft_triple", "normalized_softmax", "arcface", "subcenter_arcface",
    "cosface",
}  # fmt: skip


def loss(name, seed=0, **arguments):
    return PmlLoss(name, arguments, n_classes=12, dim=16, seed=seed)


def batch(seed=0):
    return batches.balanced(seed, classes=12, dim=16, dtype=torch.float32)


@pytest.mark.parametrize("name", PML_LOSSES)
def test_every_name_gives_a_number_and_a_gradient(name):
    points, labels = batch()
    points.requires_grad_()
    made = loss(name)
    value = made(points, labels)
    value.backward()
    assert value.ndim == 0 and value.dtype == torch.float32 and torch.isfinite(value)
    assert torch.isfinite(points.grad).all() and points.grad.abs().sum() > 0
    learned = dict(made.named_parameters())
    assert bool(learned) == (name in LEARN)
    assert all(parameter.grad.abs().sum() > 0 for parameter in learned.values())


@pytest.mark.parametrize(
    ("name", "argument"), [(name, key) for name, peer in PML_LOSSES.items() for key in peer.arguments]
)
def test_every_argument_reaches_the_peer(name, argument):
    default = PML_LOSSES[name].arguments[argument]
    draws = 60 if argument == "memory_size" else 1  # a memory's size shows only once it is full
    usual, changed = loss(name), loss(name, **{argument: default * 2})
    assert [usual(*batch(s)).item() for s in range(draws)] != [changed(*batch(s)).item() for s in range(draws)]


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]])
@pytest.mark.parametrize("name", PML_LOSSES)
def test_identical_images_one_class_and_one_image_a_class_stay_finite(name, labels):
    for points in (torch.ones(4, 16), torch.randn(4, 16, generator=torch.Generator().manual_seed(0))):
        points.requires_grad_()
        value = loss(name)(points, torch.tensor(labels))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(points.grad).all()


@pytest.mark.parametrize("name", PML_LOSSES)
def test_autocast_changes_nothing(name):
    points, labels = batch()
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(name)(points, labels)
    assert torch.equal(inside, loss(name)(points, labels))


def test_proxies_come_from_the_seed_and_leave_the_callers_numbers_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (loss("proxy_anchor", seed).state_dict()["loss.proxies"] for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), wanted)
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("name", ["arcface", "margin_beta", "cross_batch_memory"])
def test_the_state_is_all_that_a_resumption_needs(name, tmp_path):
    options = {"memory_size": 100} if name == "cross_batch_memory" else {}
    straight = loss(name, **options)
    wanted = [straight(*batch(seed)).item() for seed in range(5)]
    before = loss(name, **options)
    found = [before(*batch(seed)).item() for seed in range(3)]
    save_file(before.state_dict(), tmp_path / "state.safetensors")
    after = loss(name, seed=9, **options)
    after.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert found + [after(*batch(seed)).item() for seed in (3, 4)] == wanted


def test_a_memory_brings_in_pairs_of_earlier_batches():
    made = loss("cross_batch_memory")
    points, labels = batch()
    first = made(points, labels)
    assert not torch.equal(made(points + 0.1, labels), first)
    assert made.loss.queue_idx == 2 * len(labels)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("TripletMarginLoss", {}, "the loss is 'TripletMarginLoss'; needs one of multi_similarity, circle"),
        ("circle", {"mm": 1.0}, "mm is no argument of circle; known are m, gamma"),
        ("proxy_nca", {"num_classes": 3.0}, "num_classes is no argument of proxy_nca; known are softmax_scale"),
        ("circle", {"m": 0.0}, "m of circle is 0.0; needs to be above 0 and at most 1, such as 0.4"),
        ("circle", {"gamma": float("inf")}, "gamma of circle is inf; needs to be above 0 and finite"),
        ("fast_ap", {"num_bins": float("inf")}, "num_bins of fast_ap is inf; needs to be above 0 and finite"),
        ("arcface", {"margin": 400.0}, "margin of arcface is 400.0; needs to be above 0 and at most 90, such as 28.6"),
        ("fast_ap", {"num_bins": 2.5}, "num_bins of fast_ap is 2.5; needs a whole number, such as 10"),
    ],
)
def test_unknown_names_and_arguments_are_told(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        loss(name, **arguments)


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0, 1000.0])
def test_proxy_nca_counts_every_image_and_keeps_its_gradient(scale):
    points, labels = batch()
    points.requires_grad_()
    made = loss("proxy_nca", softmax_scale=scale)
    value = made(points, labels)
    value.backward()
    gaps = normalize(points)[:, None] - normalize(made.loss.proxies)[None]
    torch.testing.assert_close(value, cross_entropy(-scale * gaps.square().sum(2), labels), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(points.grad).all()


def test_a_memory_smaller_than_the_batch_is_told():
    with pytest.raises(ValueError, match="the batch has 48 images; memory_size of cross_batch_memory is 10: raise it"):
        loss("cross_batch_memory", memory_size=10)(*batch())


def test_no_accelerator_is_seeded(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the caller's CUDA numbers moved"))
    loss("arcface")


def test_shapes_that_do_not_match_are_named():
    batches.check_bad_shapes(loss("circle"))


def test_the_table_needs_neither_torch_nor_the_peer():
    code = "import sys, kshot.params.losses; sys.exit(bool({'torch', 'pytorch_metric_learning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_peer_is_imported_only_where_one_of_its_losses_is_made():
    code = "import sys, kshot.losses.objective; sys.exit('pytorch_metric_learning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
