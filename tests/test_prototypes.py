import torch

from kshot import prototypes as module
from kshot.prototypes import prototypes


def test_a_prototype_is_the_mean_of_its_class_whatever_the_shots():
    support = torch.tensor([[0.0, 0.0], [2.0, 4.0], [5.0, 5.0]])
    assert prototypes(support, torch.tensor([1, 1, 0]), 2).tolist() == [[5.0, 5.0], [1.0, 2.0]]


def test_many_classes_have_the_same_means_and_gradients_without_a_matrix_of_members(monkeypatch):
    labels, support = torch.tensor([2, 0, 1, 0, 2]), torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 3, 4, dtype=torch.float64)
    found = []
    for most in (module.MOST_MEMBERS, 0):
        monkeypatch.setattr(module, "MOST_MEMBERS", most)
        means = prototypes(support, labels, 3)
        found.append((means.detach(), *torch.autograd.grad((means * weights).sum(), support)))
    torch.testing.assert_close(found[0], found[1])
    many = prototypes(torch.ones(100_000, 8), torch.arange(100_000), 100_000)
    assert many.shape == (100_000, 8) and bool((many == 1).all())
