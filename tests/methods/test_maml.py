import pytest
import torch
from torch.nn.functional import cross_entropy

from kshot.methods.maml import InnerLoop, Maml
from kshot.methods.method import training_episodes
from kshot.methods.reptile import Reptile
from tests.methods.toy import Tiny, images

RATE = 0.3


def made(kind=Maml, seed=0, batched=None, **options):
    torch.manual_seed(seed)
    inner = InnerLoop(**{"steps": 3, "test_steps": 3, "rate": RATE, **options})
    return kind(Tiny(dtype=torch.float64), 3, 2, inner, batched=batched).double()


def batch():
    return images(6, 4, dtype=torch.float64)


def by_hand(method, support, labels, query, start="zero"):
    """Plain SGD on a copy, task by task: what MAML's inner loop is."""
    import copy

    network = copy.deepcopy(method.embedding)
    rows, bias = (torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, network.dim), (3,)))
    if start == "prototypes":
        points = network(support.reshape(-1, 1, 8, 8)).detach()
        with torch.no_grad():
            for place in range(3):
                mean = points[labels == place].sum(0) / (labels == place).sum()
                rows[place], bias[place] = 2 * mean, -(mean @ mean)
    learned = [*network.parameters(), rows, bias]
    optimizer = torch.optim.SGD(learned, lr=RATE)
    for _ in range(3):
        logits = network(support.reshape(-1, 1, 8, 8)) @ rows.T + bias
        optimizer.zero_grad()
        cross_entropy(logits, labels).backward()
        optimizer.step()
    return (network(query.reshape(-1, 1, 8, 8)) @ rows.T + bias).detach()


@pytest.mark.parametrize("start", ["zero", "prototypes"])
def test_adaptation_is_gradient_descent_on_the_support(start):
    method = made(start=start)
    pixels, labels = batch()
    cut = training_episodes(method.embed(pixels), labels, 3, 2)
    found = method.scores(cut.support, cut.support_labels, cut.query, 3)
    for i in range(2):
        wanted = by_hand(method, cut.support[i], cut.support_labels, cut.query[i], start)
        torch.testing.assert_close(found[i], wanted)


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_norm": "support"}, {"body": False}, {"learn_rates": True}, {"start": "prototypes"}],
)
def test_the_meta_gradient_agrees_with_finite_differences(options):
    method = made(**options)
    pixels, labels = batch()
    loss = method.loss(pixels, labels, torch.Generator()).loss
    loss.backward()
    generator = torch.Generator().manual_seed(0)
    for parameter in method.parameters():
        if not parameter.requires_grad:
            continue
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        values = []
        for side in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += side * direction
                values.append(method.loss(pixels, labels, torch.Generator()).loss.item())
                parameter -= side * direction
        wanted = (values[0] - values[1]) / 2e-6
        assert float((parameter.grad * direction).sum()) == pytest.approx(wanted, rel=1e-3, abs=1e-7)


def test_first_order_leaves_the_answers_and_changes_the_gradient():
    second, first = made(), made(first_order=True)
    losses = [method.loss(*batch(), torch.Generator()).loss for method in (second, first)]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()
    assert not torch.allclose(second.embedding.body[0].weight.grad, first.embedding.body[0].weight.grad, rtol=1e-3)


@pytest.mark.parametrize("options", [{}, {"batch_norm": "support"}, {"first_order": True}, {"start": "prototypes"}])
def test_all_tasks_at_once_are_as_one_after_another(options):
    loop, batched = made(batched=False, **options), made(batched=True, **options)
    losses = [method.loss(*batch(), torch.Generator()).loss for method in (loop, batched)]
    torch.testing.assert_close(losses[0], losses[1])
    for loss in losses:
        loss.backward()
    for one, other in zip(loop.parameters(), batched.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad)


def test_one_task_does_not_leak_into_another_and_queries_into_queries_only_where_it_is_said():
    for mode in ("transductive", "support"):
        method = made(batch_norm=mode)
        pixels, labels = batch()
        cut = training_episodes(method.embed(pixels), labels, 3, 2)
        together = method.scores(cut.support, cut.support_labels, cut.query, 3)
        one_task = method.scores(cut.support[:1], cut.support_labels, cut.query[:1], 3)
        torch.testing.assert_close(one_task[0], together[0])
        one_query = method.scores(cut.support[:1], cut.support_labels, cut.query[:1, :1], 3)
        assert torch.allclose(one_query[0, 0], together[0, 0]) == (mode == "support")


def test_the_body_adapts_from_the_second_step_on():
    maml, anil = made(), made(body=False)
    pixels, labels = batch()
    cut = training_episodes(maml.embed(pixels), labels, 3, 2)
    for steps, alike in ((1, True), (2, False)):
        found = [m._adapt_and_predict(cut.support, cut.support_labels, cut.query, 3, steps) for m in (maml, anil)]
        assert torch.allclose(*found, rtol=1e-6) == alike


def test_predicting_keeps_no_graph():
    method = made()
    pixels, labels = batch()
    cut = training_episodes(method.embed(pixels), labels, 3, 2)
    with torch.no_grad():
        found = method.scores(cut.support, cut.support_labels, cut.query, 3)
    wanted = method.scores(cut.support, cut.support_labels, cut.query, 3)
    assert not found.requires_grad and torch.equal(found, wanted)


def test_anil_adapts_the_classifier_alone():
    method = made(body=False)
    adapted = method._adapted(method._start(*_support(method), 3), *_support(method), steps=2)
    assert set(adapted) == {"rows", "bias"}


def test_reptile_steps_towards_what_the_episodes_adapt_to():
    method = made(Reptile)
    pixels, labels = batch()
    method.loss(pixels, labels, torch.Generator()).loss.backward()
    cut = training_episodes(method.embed(pixels), labels, 3, 2)
    known, truth = torch.cat([cut.support, cut.query], 1), torch.cat([cut.support_labels, cut.query_labels])
    name = "body.0.weight"
    start = method.embedding.body[0].weight.detach()
    reached = [method._adapted(method._start(images, truth, 3), images, truth, 3)[name].detach() for images in known]
    torch.testing.assert_close(method.embedding.body[0].weight.grad, start - torch.stack(reached).mean(0))


def _support(method):
    pixels, labels = batch()
    cut = training_episodes(method.embed(pixels), labels, 3, 2)
    return cut.support[0], cut.support_labels
