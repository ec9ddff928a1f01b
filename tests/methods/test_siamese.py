import math

import torch

from kshot.methods.siamese import Siamese
from tests.methods.toy import Tiny, images


def test_the_loss_is_the_mean_over_same_and_over_different_pairs():
    method = Siamese(Tiny(), 5, 1).eval()
    pixels, labels = images(4, 3)
    points = method.embed(pixels)
    weight, bias = method.verifier.weight[0].tolist(), method.verifier.bias.item()
    same, different = [], []
    for i in range(len(labels)):
        for j in range(len(labels)):
            if i == j:
                continue
            pairs = zip(weight, points[i].tolist(), points[j].tolist(), strict=True)
            share = 1 / (1 + math.exp(-(bias + sum(w * abs(a - b) for w, a, b in pairs))))
            if labels[i] == labels[j]:
                same.append(-math.log(share))
            else:
                different.append(-math.log(1 - share))
    wanted = (sum(same) / len(same) + sum(different) / len(different)) / 2
    found = method.loss(pixels, labels, torch.Generator()).loss
    torch.testing.assert_close(found.item(), wanted, rtol=1e-4, atol=0)


def test_a_class_is_answered_by_the_mean_of_its_odds_whatever_its_shots():
    method = Siamese(Tiny(), 5, 1).eval()
    generator = torch.Generator().manual_seed(0)
    dim = method.embedding.dim
    method.verifier.weight.data.normal_(generator=generator).mul_(300)  # odds far beyond what a float holds
    support, query = torch.rand(2, 6, dim, generator=generator), torch.rand(2, 4, dim, generator=generator)
    labels = torch.tensor([0, 2, 0, 1, 2, 0])
    found = method.scores(support, labels, query, 3).detach()
    for episode in range(2):
        for asked in range(4):
            for label in range(3):
                logits = [
                    method.same(query[episode, asked : asked + 1], support[episode, place : place + 1]).item()
                    for place in range(6)
                    if labels[place] == label
                ]
                best = max(logits)
                wanted = best + math.log(sum(math.exp(logit - best) for logit in logits) / len(logits))
                assert math.isclose(float(found[episode, asked, label]), wanted, rel_tol=1e-4, abs_tol=1e-2)
    assert found.abs().max() > 100
