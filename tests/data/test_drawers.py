"""Episodes by drawers: support by one, queries by another, and only classes that both drew."""

import numpy as np
import pytest
from numpy.typing import NDArray

from kshot.data.drawers import NOBODY, pairs_of_drawers
from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.errors import DataError
from kshot.params.sections.episodes import Protocol

# Class by class the drawer of each image: drawer 3 has the first class alone, and one image names nobody.
DRAWERS = [
    np.array([0, 0, 1, 1, 2, 3]),
    np.array([0, 0, 1, 1, 2]),
    np.array([0, 0, 1, 1, NOBODY]),
    np.array([0, 2, 2]),
]
MEMBERS = [np.arange(len(drawers)) + 10 * place for place, drawers in enumerate(DRAWERS)]
OWNER = {int(i): int(d) for ids, by in zip(MEMBERS, DRAWERS, strict=True) for i, d in zip(ids, by, strict=True)}
GROUPS = ["a", "a", "a", "b"]


def draw(n_way: int, k_shot: int = 1, n_query: int = 1, *, within: bool = False, seed: int = 0) -> EpisodeSet:
    return draw_episodes(
        MEMBERS,
        GROUPS,
        np.arange(4) + 100,
        Protocol(n_way, k_shot, within, by_drawer=True),
        n_query=n_query,
        n_episodes=100,
        generator=np.random.default_rng(seed),
        drawers=DRAWERS,
    )


def drawers_of(ids: NDArray[np.int32]) -> set[int]:
    return {OWNER[int(each)] for each in ids.ravel()}


def test_one_drawer_teaches_and_one_other_asks() -> None:
    found = draw(2)
    assert found.support.shape == found.query.shape == (100, 2, 1)
    pairs = set()
    for support, query, classes in zip(*found, strict=True):
        (teacher,), (asker,) = drawers_of(support), drawers_of(query)
        assert teacher != asker and NOBODY not in (teacher, asker)
        assert len(set(classes)) == 2
        assert (support // 10 + 100 == classes[:, None]).all() and (query // 10 + 100 == classes[:, None]).all()
        pairs.add((teacher, asker))
    assert pairs == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}


def test_shots_and_queries_are_as_many_different_images_of_their_drawer() -> None:
    found = draw(3, k_shot=2, n_query=2)
    assert found.support.shape == found.query.shape == (100, 3, 2)
    for support, query in zip(found.support, found.query, strict=True):
        assert {*drawers_of(support)} | {*drawers_of(query)} == {0, 1}
        assert len({*support.ravel(), *query.ravel()}) == 12


def test_within_a_group_no_class_of_another_comes() -> None:
    assert set(draw(2, within=True).classes.ravel()) == {100, 101, 102}


def test_the_generator_decides() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(draw(2), draw(2), strict=True))
    assert not np.array_equal(draw(2).query, draw(2, seed=1).query)


def test_the_pairs_and_the_most_that_a_pair_shares() -> None:
    found = pairs_of_drawers(DRAWERS, np.arange(4), n_way=3, k_shot=1, n_query=2)
    assert found.pairs.tolist() == [[0, 1], [1, 0]]
    assert found.most == 3
    assert found.shared(np.array([0, 2])).tolist() == [3]


@pytest.mark.parametrize("n_way", [4, 3])
def test_without_two_drawers_of_enough_classes_an_error_says_so(n_way: int) -> None:
    with pytest.raises(DataError, match=f"two drawers that share {n_way} classes, the one with 3 and the other with 1"):
        draw(n_way, k_shot=3)
