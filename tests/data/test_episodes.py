"""Episodes: well-formed by counting, deterministic, and balanced over classes."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kshot.data import episodes
from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.errors import DataError
from kshot.params.sections.episodes import Protocol

GROUPS = ["Ἀ", "Ἀ", "Ἀ", "Ἀ", "two words", "two words", "two words", "small", ""]
SIZES = [6, 7, 8, 6, 6, 9, 6, 6, 10]
LABELS = np.arange(9) * 4 + 100


def members() -> list[NDArray[np.int64]]:
    starts = np.cumsum([0, *SIZES[:-1]])
    return [np.arange(start, start + size) * 2 for start, size in zip(starts, SIZES, strict=True)]


def draw(
    n_way: int = 3, k_shot: int = 2, n_query: int = 4, *, count: int = 200, within: bool = False, seed: int = 0
) -> EpisodeSet:
    return draw_episodes(
        members(),
        GROUPS,
        LABELS,
        Protocol(n_way, k_shot, within),
        n_query=n_query,
        n_episodes=count,
        generator=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(("n_way", "k_shot", "n_query"), [(2, 1, 5), (3, 2, 4), (3, 5, 1)])
def test_every_episode_is_well_formed(n_way: int, k_shot: int, n_query: int, within: bool) -> None:
    drawn = draw(n_way, k_shot, n_query, within=within)
    assert drawn.support.shape == (200, n_way, k_shot)
    assert drawn.query.shape == (200, n_way, n_query)
    assert drawn.classes.shape == (200, n_way)
    assert {array.dtype for array in drawn} == {np.dtype(np.int32)}
    owner = {int(image): int(label) for ids, label in zip(members(), LABELS, strict=True) for image in ids}
    for support, query, classes in zip(*drawn, strict=True):
        assert len(set(classes)) == n_way
        images = [*support.ravel(), *query.ravel()]
        assert len(set(images)) == len(images)
        for way, label in enumerate(classes):
            assert {owner[int(image)] for image in (*support[way], *query[way])} == {int(label)}


def test_within_a_group_all_classes_are_of_one() -> None:
    group = dict(zip(LABELS.tolist(), GROUPS, strict=True))
    seen = set()
    for classes in draw(within=True).classes:
        names = {group[int(label)] for label in classes}
        assert len(names) == 1
        seen |= names
    assert seen == {"Ἀ", "two words"}  # the others have fewer than three classes, or no group


def test_a_group_is_drawn_as_often_as_it_has_classes() -> None:
    drawn = draw(within=True, count=2000)
    share = np.isin(drawn.classes[:, 0], LABELS[:4]).mean()
    assert abs(share - 4 / 7) < 4 * np.sqrt(4 / 7 * 3 / 7 / 2000)


def test_every_class_and_every_image_is_drawn_about_equally_often() -> None:
    drawn = draw(count=3000)
    asked = np.bincount(np.searchsorted(LABELS, drawn.classes.ravel()))
    assert abs(asked - 1000).max() < 5 * np.sqrt(1000 * 2 / 3)
    first = members()[0]
    times = np.array([(drawn.support == image).sum() for image in first])
    expected = asked[0] * 2 / 6
    assert abs(times - expected).max() < 5 * np.sqrt(expected)


def test_the_generator_decides() -> None:
    same = [np.array_equal(a, b) for a, b in zip(draw(), draw(), strict=True)]
    other = [np.array_equal(a, b) for a, b in zip(draw(), draw(seed=1), strict=True)]
    assert all(same)
    assert not any(other)


def test_fewer_keys_in_memory_draw_well_formed_episodes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    inner = episodes._draw_images

    def watched(*arguments: Any) -> Any:
        widths.append(len(arguments[1]))
        return inner(*arguments)

    monkeypatch.setattr(episodes, "_draw_images", watched)
    monkeypatch.setattr(episodes, "KEYS", 3 * max(SIZES) * 7)
    drawn = draw()
    assert widths == [7] * 28 + [4]
    assert drawn.query.shape == (200, 3, 4)


def test_first_takes_the_first_episodes() -> None:
    drawn = draw()
    assert len(drawn.first(5).query) == 5
    assert np.array_equal(drawn.first(5).query, drawn.query[:5])
    assert len(drawn.first(1000).query) == 200


def test_a_class_of_just_enough_images_gives_all_of_them() -> None:
    drawn = draw(k_shot=1, n_query=5)
    row, way = np.argwhere(drawn.classes == LABELS[0])[0]
    images = {*drawn.support[row, way].tolist(), *drawn.query[row, way].tolist()}
    assert images == set(members()[0].tolist())


@pytest.mark.parametrize("within", [False, True])
def test_a_class_with_too_few_images_is_in_no_episode(within: bool) -> None:
    drawn = draw(2, 2, 5, within=within)
    assert set(drawn.classes.ravel()) == set((LABELS[[1, 2]] if within else LABELS[[1, 2, 5, 8]]).tolist())


@pytest.mark.parametrize(
    ("n_way", "n_query", "within", "told"),
    [
        (10, 4, False, "needs 10 classes of 6 different images .*, but there are 9"),
        (5, 4, True, "needs 5 classes of 6 .*, but no group has more than 4"),
        (3, 7, False, r"needs 3 classes of 9 different images \(k_shot \+ n_query\), but there are 2"),
    ],
)
def test_too_little_data_is_told(n_way: int, n_query: int, within: bool, told: str) -> None:
    with pytest.raises(DataError, match=told):
        draw(n_way, 2, n_query, within=within)
