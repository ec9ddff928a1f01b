import math

import torch

from kshot.methods.siamese import Siamese
from tests.methods.toy import Tiny, pictures


def test_the_loss_is_the_mean_over_same_and_over_different_pairs():
    method = Siamese(Tiny(), 5, 1).eval()
    pixels, labels = pictures(4, 3)
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
