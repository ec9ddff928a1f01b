import torch

from kshot.prototypes import prototypes


def test_a_prototype_is_the_mean_of_its_class_whatever_the_shots():
    support = torch.tensor([[0.0, 0.0], [2.0, 4.0], [5.0, 5.0]])
    assert prototypes(support, torch.tensor([1, 1, 0]), 2).tolist() == [[5.0, 5.0], [1.0, 2.0]]
