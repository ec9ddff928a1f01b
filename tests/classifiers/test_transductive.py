import pytest
import torch
from easyfsl.methods import PTMAP, LaplacianShot
from torch import nn

from kshot.classifiers.laplacian_shot import _nearest_neighbours, laplacian_shot_scores
from kshot.classifiers.pt_map import pt_map_scores, transport
from kshot.distances import squared_euclidean
from kshot.errors import NotConverged


def zeros(episodes, n_way):
    return torch.zeros(episodes, n_way, dtype=torch.float64)


def test_the_transport_agrees_with_easyfsl_and_fills_rows_and_columns():
    cost = torch.rand(3, 20, 5, generator=torch.Generator().manual_seed(0))
    plan, _ = transport(cost, 10.0, zeros(3, 5))
    torch.testing.assert_close(plan.sum(2), torch.ones(3, 20), atol=1e-5, rtol=0)
    torch.testing.assert_close(plan.sum(1), torch.full((3, 5), 4.0), atol=1e-5, rtol=0)
    peer = PTMAP(nn.Identity(), lambda_regularization=10.0)
    for one, found in zip(cost, plan, strict=True):
        torch.testing.assert_close(found, peer.compute_optimal_transport(one), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("far", [1.0, 4.0])
def test_the_transport_is_where_sinkhorns_steps_lead(far):
    generator = torch.Generator().manual_seed(0)
    cost = far * torch.rand(4, 60, 6, generator=generator, dtype=torch.float64)
    cost[0] = far * (cost[0] > far / 2)  # costs as far apart as they can be
    log_plan = (-10.0 * cost).log_softmax(-1)
    for _ in range(20_000):
        log_plan = log_plan + torch.tensor(10.0).log() - log_plan.logsumexp(1, keepdim=True)
        log_plan = log_plan - log_plan.logsumexp(2, keepdim=True)
    torch.testing.assert_close(transport(cost, 10.0, zeros(4, 6))[0], log_plan.exp(), atol=1e-5, rtol=0)


def test_the_transport_does_not_depend_on_where_it_begins():
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(3, 20, 5, generator=generator, dtype=torch.float64)
    plan, potentials = transport(cost, 10.0, zeros(3, 5))
    elsewhere = 20 * torch.rand(3, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(transport(cost, 10.0, elsewhere)[0], plan, atol=1e-6, rtol=0)
    again = transport(cost, 10.0, potentials)
    assert torch.equal(again[0], plan) and torch.equal(again[1], potentials), "there is nothing left to do"


def test_a_transport_that_is_sure_of_every_query_still_shares_them():
    cost = torch.ones(1, 4, 2)
    cost[0, :3, 0], cost[0, 3, 1] = 0, 0
    plan, _ = transport(cost, 1000.0, zeros(1, 2))
    torch.testing.assert_close(plan.sum(1), torch.full((1, 2), 2.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(plan[0, :3, 1], torch.full((3,), 1 / 3), atol=1e-5, rtol=0)


def test_laplacian_updates_agree_with_easyfsl():
    generator = torch.Generator().manual_seed(0)
    query, prototypes = torch.rand(1, 30, 6, generator=generator), torch.rand(1, 4, 6, generator=generator)
    peer = LaplacianShot(nn.Identity(), inference_steps=20)
    affinity = _nearest_neighbours(query, 2)
    assert torch.equal(affinity[0], peer.compute_pairwise_affinities(query[0]))
    unary = squared_euclidean(query, prototypes)[0]
    wanted = peer.bound_updates(unary, affinity[0])
    assigned = (-unary).softmax(-1)
    for _ in range(20):
        assigned = (0.7 * affinity[0] @ assigned - unary).softmax(-1)
    torch.testing.assert_close(assigned, wanted, atol=1e-4, rtol=0)


def test_unlabelled_queries_help_where_classes_overlap():
    generator = torch.Generator().manual_seed(0)
    centres = 1.2 * torch.rand(40, 5, 1, 16, generator=generator)
    support = centres + torch.rand(40, 5, 1, 16, generator=generator)
    query = centres + torch.rand(40, 5, 15, 16, generator=generator)
    truth = torch.arange(5).repeat_interleave(15)

    def accuracy(scores):
        return float((scores.argmax(-1) == truth).double().mean())

    support, query, labels = support.flatten(1, 2), query.flatten(1, 2), torch.arange(5)
    alone = accuracy(-squared_euclidean(query, support))
    assert accuracy(laplacian_shot_scores(support, labels, query, 5)) > alone + 0.02
    assert accuracy(pt_map_scores(support, labels, query, 5)) > alone + 0.05


def test_pt_map_is_the_papers_algorithm_step_by_step():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 1, 2])
    support, query = (torch.rand(2, n, 16, generator=generator, dtype=torch.float64) for n in (4, 9))

    def prepared(points):
        powered = torch.nn.functional.normalize((points + 1e-6).sqrt(), dim=-1)
        return torch.nn.functional.normalize(powered - powered.mean(0), dim=-1)

    def plan_of(asked, means):
        log_plan, each = -10.0 * torch.cdist(asked, means).square(), torch.tensor(3.0, dtype=torch.float64).log()
        for _ in range(2500):
            log_plan = log_plan + each - log_plan.logsumexp(0, keepdim=True)
            log_plan = log_plan - log_plan.logsumexp(1, keepdim=True)
        return log_plan.exp()

    found = pt_map_scores(support, labels, query, 3)
    for one, asked, answered in zip(support, query, found, strict=True):
        known, asked = prepared(one), prepared(asked)
        member = torch.nn.functional.one_hot(labels).double()
        means = (member / member.sum(0)).T @ known
        for _ in range(20):
            shares = torch.cat([member, plan_of(asked, means)])
            means = means + 0.2 * ((shares / shares.sum(0)).T @ torch.cat([known, asked]) - means)
        torch.testing.assert_close(answered.exp(), plan_of(asked, means), atol=1e-5, rtol=0)


def test_what_does_not_converge_is_no_prediction():
    generator = torch.Generator().manual_seed(0)
    cost = 4 * torch.rand(1, 30, 3, generator=generator)
    with pytest.raises(NotConverged, match="pt_map is off by .* queries a class after 100 steps; needs 1e-06"):
        transport(cost * torch.nan, 10.0, torch.zeros(1, 3, dtype=torch.float64))
    few, asked = torch.rand(1, 3, 8, generator=generator), torch.rand(1, 12, 8, generator=generator)
    with pytest.raises(NotConverged, match="laplacian_shot still moves a query's share by .* after 20 updates"):
        laplacian_shot_scores(few, torch.arange(3), asked, 3, weight=-50.0)


def test_pt_map_says_what_it_cannot_answer():
    labels = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="given negative embeddings; needs a backbone that ends in a ReLU"):
        pt_map_scores(-torch.ones(1, 2, 3), labels, torch.ones(1, 2, 3), 2)
    with pytest.raises(ValueError, match="given 3 queries of 2 classes; needs as many of each class"):
        pt_map_scores(torch.ones(1, 2, 3), labels, torch.ones(1, 3, 3), 2)
