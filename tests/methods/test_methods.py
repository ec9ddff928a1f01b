import pytest
import torch

from kshot.methods.maml import InnerLoop, Maml
from kshot.methods.matching import Matching
from kshot.methods.method import training_episodes
from kshot.methods.prototypical import Prototypical
from kshot.methods.relation import Relation
from kshot.methods.reptile import Reptile
from kshot.methods.siamese import Siamese
from tests.methods.toy import CLASSES, Tiny, images

INNER = {"steps": 3, "test_steps": 5, "rate": 0.4}
METHODS = {
    "prototypical": lambda e: Prototypical(e, 5, 1),
    "prototypical-cosine": lambda e: Prototypical(e, 5, 1, distance="cosine", learn_temperature=True),
    "matching": lambda e: Matching(e, 5, 1),
    "matching-full-context": lambda e: Matching(e, 5, 1, full_context=True),
    "matching-temperature": lambda e: Matching(e, 5, 1, learn_temperature=True),
    "siamese": lambda e: Siamese(e, 5, 1),
    "relation": lambda e: Relation(e, 5, 1, channels=3),
    "maml": lambda e: Maml(e, 5, 1, InnerLoop(**INNER)),
    "maml-support": lambda e: Maml(e, 5, 1, InnerLoop(**INNER, batch_norm="support")),
    "maml-first-order": lambda e: Maml(e, 5, 1, InnerLoop(**INNER, first_order=True)),
    "maml-rates": lambda e: Maml(e, 5, 1, InnerLoop(**INNER, learn_rates=True)),
    "anil": lambda e: Maml(e, 5, 1, InnerLoop(**INNER, body=False)),
    "reptile": lambda e: Reptile(e, 5, 1, InnerLoop(**{**INNER, "steps": 5})),
}


def made(name, seed=0):
    torch.manual_seed(seed)
    return METHODS[name](Tiny(seed))


def accuracy(method, n_way=5, shots=1, tries=20):
    method.eval()
    right = []
    with torch.no_grad():
        for seed in range(tries):
            pixels, labels = images(n_way, shots + 3, seed=1000 + seed)
            cut = training_episodes(method.embed(pixels), labels, n_way, shots)
            scores = method.scores(cut.support, cut.support_labels, cut.query, n_way)
            right.append((scores.argmax(-1) == cut.query_labels).double().mean())
    return float(torch.stack(right).mean())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_a_toy_problem(name):
    method = made(name)
    before = accuracy(method)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for step in range(60):
        method.train()
        loss = method.loss(*images(10, 4, seed=step), generator).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = accuracy(method)
    assert after > 0.78 and after > before, f"{before} -> {after}"
    if name != "reptile":  # its loss is how far an episode pulls, and not how well it is answered
        assert sum(losses[-10:]) < sum(losses[:10])


@pytest.mark.parametrize("name", METHODS)
def test_an_episode_may_have_any_number_of_classes_and_unequal_shots(name):
    method = made(name).eval()
    pixels, _ = images(7, 4)
    points = method.embed(pixels)
    labels = torch.arange(7).repeat_interleave(4)
    support = torch.tensor([i for i in range(28) if i % 4 < (3 if i < 4 else 1)])
    query = torch.tensor([i for i in range(28) if i % 4 == 3])
    scores = method.scores(points[support][None], labels[support], points[query][None], 7)
    assert scores.shape == (1, 7, 7) and torch.isfinite(scores).all()


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_classes_does_not_matter(name):
    method = made(name).eval()
    if name == "matching-full-context":
        pytest.skip("its LSTM reads the support in the order of the labels, which is arbitrary: the paper's too")
    pixels, _ = images(5, 3)
    points, labels = method.embed(pixels), torch.arange(5).repeat_interleave(3)
    first = torch.arange(0, 15, 3)
    turn = torch.tensor([3, 0, 4, 1, 2])
    straight = method.scores(points[first][None], labels[first], points[None], 5)
    turned = method.scores(points[first][None], turn[labels[first]], points[None], 5)
    torch.testing.assert_close(turned[..., turn], straight, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in METHODS if "maml" not in name and name not in ("anil", "reptile")])
def test_queries_do_not_know_each_other(name):
    method = made(name).eval()
    assert method.batch_norm == "eval"
    pixels, _ = images(5, 3)
    points, labels = method.embed(pixels), torch.arange(5)
    together = method.scores(points[::3][None], labels, points[None], 5)
    alone = method.scores(points[::3][None], labels, points[None, 4:5], 5)
    torch.testing.assert_close(alone[0, 0], together[0, 4], atol=1e-5, rtol=1e-5)


def test_a_batch_is_cut_into_episodes_of_whole_classes():
    values, labels = torch.arange(14), torch.arange(7).repeat_interleave(2)
    cut = training_episodes(values, labels, n_way=3, k_shot=1)
    assert cut.support.tolist() == [[0, 2, 4], [6, 8, 10]] and cut.query.tolist() == [[1, 3, 5], [7, 9, 11]]
    assert cut.support_labels.tolist() == cut.query_labels.tolist() == [0, 1, 2]
    assert CLASSES >= 7
