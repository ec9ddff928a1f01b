import math

import pytest
import torch

from kshot.classifiers import INDUCTIVE, TRANSDUCTIVE
from kshot.classifiers.cosine_classifier import RATE, SCALE, STEPS
from kshot.classifiers.simple_shot import simple_shot_scores
from kshot.classifiers.table import CLASSIFIERS
from kshot.errors import NotConverged
from tests.losses.batches import balanced


def episodes(seed=0, count=3, n_way=4, shots=2, queries=5, dim=8, spread=0.5):
    """Classes around a point each; nothing negative, as after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.rand(count, n_way, 1, dim, generator=generator)
    support = (centres + spread * torch.rand(count, n_way, shots, dim, generator=generator)).flatten(1, 2)
    query = (centres + spread * torch.rand(count, n_way, queries, dim, generator=generator)).flatten(1, 2)
    return support, torch.arange(n_way).repeat_interleave(shots), query, n_way


def answers(name, support, labels, query, n_way):
    return CLASSIFIERS[name](support, labels, query, n_way)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes_that_lie_apart_are_told_apart(name):
    support, labels, query, n_way = episodes()
    scores = answers(name, support, labels, query, n_way)
    assert scores.shape == (3, 20, 4) and torch.isfinite(scores).all()
    assert torch.equal(scores.argmax(-1), torch.arange(4).repeat_interleave(5).expand(3, -1))


@pytest.mark.parametrize("n_way", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_any_number_of_classes_and_unequal_shots(name, n_way):
    support, _, query, _ = episodes(n_way=n_way, shots=3)
    labels = torch.arange(n_way).repeat_interleave(3)
    keep = torch.tensor([i for i in range(3 * n_way) if i not in (1, 2)])  # class 0 keeps one image
    scores = answers(name, support[:, keep], labels[keep], query, n_way)
    right = scores.argmax(-1) == torch.arange(n_way).repeat_interleave(5)
    assert right.double().mean() > 0.9 and right[:, :5].double().mean() > 0.8, "a class with few shots is not left out"


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_episode_is_answered_as_if_it_were_alone(name):
    support, labels, query, n_way = episodes(spread=3.0)
    together = answers(name, support, labels, query, n_way)
    for i in range(len(support)):
        alone = answers(name, support[i : i + 1], labels, query[i : i + 1], n_way)
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_order_of_the_support_does_not_matter(name):
    support, labels, query, n_way = episodes(spread=3.0)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    wanted = answers(name, support, labels, query, n_way)
    found = answers(name, support[:, order], labels[order], query, n_way)
    torch.testing.assert_close(found, wanted, atol=2e-3 if name == "logistic_regression" else 1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", INDUCTIVE)
def test_an_inductive_head_answers_each_query_by_itself(name):
    support, labels, query, n_way = episodes(spread=3.0)
    wanted = answers(name, support, labels, query, n_way)[:, :1]
    torch.testing.assert_close(answers(name, support, labels, query[:, :1], n_way), wanted)


def test_transductive_heads_say_so_and_do_see_the_other_queries():
    support, labels, query, n_way = episodes(spread=3.0)
    assert set(INDUCTIVE) | set(TRANSDUCTIVE) == set(CLASSIFIERS)
    for name in TRANSDUCTIVE:
        wanted = answers(name, support, labels, query, n_way)[:, :8]
        found = answers(name, support, labels, query[:, :8], n_way)
        assert not torch.allclose(found, wanted, atol=1e-3)


def test_the_cosine_classifier_is_descent_on_the_weights_of_one_episode():
    support, labels, query, n_way = episodes(spread=3.0)
    known, asked = support[1] / support[1].norm(dim=1, keepdim=True), query[1] / query[1].norm(dim=1, keepdim=True)
    weights = torch.stack([known[labels == c].mean(0) for c in range(n_way)]).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=RATE, momentum=0.9)
    for _ in range(STEPS):
        logits = SCALE * known @ (weights / weights.norm(dim=1, keepdim=True)).T
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wanted = SCALE * asked @ (weights / weights.norm(dim=1, keepdim=True)).T
    found = answers("cosine_classifier", support, labels, query, n_way)[1]
    torch.testing.assert_close(found, wanted.detach(), atol=1e-3, rtol=1e-3)
    begun = SCALE * asked @ torch.stack([known[labels == c].mean(0) for c in range(n_way)]).T
    assert not torch.allclose(found.softmax(1), begun.softmax(1), atol=0.01), "nothing was fitted"


def test_simple_shot_sees_directions_from_the_centre():
    support, query = torch.tensor([[[11.0, 10.0], [10.0, 11.0]]]), torch.tensor([[[10.9, 10.2], [10.0, 40.0]]])
    labels, centre = torch.tensor([0, 1]), torch.tensor([10.0, 10.0])
    scores = simple_shot_scores(support, labels, query, 2, centre)
    cosine = 0.9 / math.hypot(0.9, 0.2)
    assert scores[0, 0, 0].item() == pytest.approx(-(2 - 2 * cosine), abs=1e-6)
    assert scores[0, 1].tolist() == pytest.approx([-2, 0])


def test_prototype_and_nearest_neighbour_by_hand():
    support = torch.tensor([[[0.0], [4.0], [5.0]]])
    labels, query = torch.tensor([0, 0, 1]), torch.tensor([[[3.0]]])
    assert answers("prototype", support, labels, query, 2)[0, 0].tolist() == [-1, -4]
    assert answers("nearest_neighbour", support, labels, query, 2)[0, 0].tolist() == [-1, -4]
    query = torch.tensor([[[-1.0]]])
    assert answers("prototype", support, labels, query, 2)[0, 0].tolist() == [-9, -36]
    assert answers("nearest_neighbour", support, labels, query, 2)[0, 0].tolist() == [-1, -36]


def test_attention_by_hand():
    support = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [0.0, 1.0], [0.0, 2.0]]])
    query = torch.tensor([[[3.0, 0.0]]])
    scores = answers("attention", support, torch.tensor([0, 0, 1, 1]), query, 2)[0, 0].exp()
    e = math.e
    assert scores.tolist() == pytest.approx([(e + 1) / (e + 3), 2 / (e + 3)])


def test_logistic_regression_minimises_the_regularised_loss():
    support, labels, query, n_way = episodes(count=1, spread=3.0)
    x = torch.nn.functional.normalize(support[0].double(), dim=1)
    weight = torch.zeros(n_way, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_way, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, labels, reduction="sum")
        loss = loss + weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    asked = torch.nn.functional.normalize(query[0].double(), dim=1)
    wanted = (asked @ weight.T + bias).softmax(1).detach()
    found = answers("logistic_regression", support, labels, query, n_way)[0].double().softmax(1)
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=0)


def test_points_of_one_place_give_finite_scores():
    for name in CLASSIFIERS:
        support, query = torch.ones(1, 4, 3), torch.ones(1, 8, 3)
        assert torch.isfinite(answers(name, support, torch.tensor([0, 0, 1, 1]), query, 2)).all()


def test_heads_take_whatever_an_embedding_gives():
    points, labels = balanced(0, classes=3, images=4, dtype=torch.float32)
    for name in set(CLASSIFIERS) - {"pt_map"}:
        assert torch.isfinite(answers(name, points[None], labels, points[None], 3)).all()


def test_a_logistic_regression_that_runs_out_of_steps_is_no_prediction(monkeypatch):
    from kshot.classifiers import logistic_regression

    monkeypatch.setattr(logistic_regression, "STEPS", 1)
    points = torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NotConverged, match="did not reach its tolerance in 1 steps"):
        CLASSIFIERS["logistic_regression"](points, torch.arange(3).repeat(2), points, 3)
