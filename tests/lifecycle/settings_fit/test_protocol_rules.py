"""The protocols and queries that validation and test classes can fill; groups as the hard case."""

import pytest

from kshot.data.class_supply import ClassSupply
from kshot.errors import DataError
from kshot.lifecycle.settings_fit.protocol_rules import fitted_episodes, fitted_queries, floor_of
from kshot.params.sections.episodes import Protocol


def part(*images: int, groups: tuple[str, ...] = ("",)) -> list[ClassSupply]:
    return [ClassSupply(f"c{i:03}", count, groups[i % len(groups)]) for i, count in enumerate(images)]


ONE, FIVE = ["5w1s", "10w1s", "20w1s"], ["5w5s", "10w5s", "20w5s"]
ROWS = {
    "enough of all": (part(*[40] * 20), part(*[40] * 30), 15, [*ONE, *FIVE]),
    "ten to validate on": (part(*[40] * 10), part(*[40] * 30), 15, [*ONE[:2], *FIVE[:2]]),
    "twelve images": (part(*[12] * 9), part(*[12] * 9), 7, ["5w1s", "5w5s"]),
    "three images": (part(*[3] * 20), part(*[3] * 20), 2, ONE),
    "two images": (part(*[2] * 5), part(*[2] * 5), 1, ["5w1s"]),
    "one class of ten is small": (part(9, *[40] * 9), part(*[40] * 10), 15, ["5w1s", "5w5s"]),
    "three classes": (part(*[30] * 3), part(*[30] * 4), 15, ["3w1s", "3w5s"]),
}


@pytest.mark.parametrize("name", ROWS)
def test_all_that_both_can_fill(name: str) -> None:
    val, test, n_query, protocols = ROWS[name]
    found = fitted_episodes([val, test])
    assert (found.n_query, sorted(found.protocols)) == (n_query, sorted(protocols))
    for one in found.protocols.values():
        for classes in (val, test):
            assert sum(c.images >= one.k_shot + n_query for c in classes) >= one.n_way


def test_one_shot_of_the_fewest_classes_is_the_gates_and_of_the_most_is_validated() -> None:
    found = fitted_episodes([part(*[40] * 20)] * 2)
    assert (found.first, found.widest) == ("5w1s", "20w1s")
    assert (floor_of(5), floor_of(3), floor_of(2)) == (0.36, 0.47, 0.6)  # a fifth of the way from chance to 1


@pytest.mark.parametrize(
    ("groups", "within"),
    [
        (("Fruit/Apple", "Fruit/Pear", "Fruit"), {"4w1s_group": 4}),  # of 12 classes; Fruit contains groups
        (("Apple",), {}),  # a folder around all classes: the protocol would be 5w1s again
        (("Apple", ""), {"5w1s_group": 5}),
        (("Apple", "Pear", "Plum", "Fig", "Kiwi", "Lime"), {"2w1s_group": 2}),
        (tuple(f"g{i}" for i in range(12)), {}),
        (("",), {}),
    ],
)
def test_a_protocol_within_the_innermost_groups_is_as_wide_as_both_can_fill(
    groups: tuple[str, ...], within: dict[str, int]
) -> None:
    found = fitted_episodes([part(*[40] * 12, groups=groups)] * 2)
    assert {name: one.n_way for name, one in found.protocols.items() if one.within_group} == within
    assert found.first == "5w1s"
    if len(groups) == 12:
        assert "none within a group, because" in found.protocols_why


def test_chosen_queries_or_a_fixed_number_of_labels_limit_the_protocols() -> None:
    both = [part(*[12] * 20)] * 2
    assert list(fitted_episodes(both, n_query=11).protocols) == ONE
    assert list(fitted_episodes(both, most_ways=8).protocols) == ["5w1s", "5w5s"]
    with pytest.raises(DataError, match="fewer than two classes of 13 images"):
        fitted_episodes(both, n_query=12)
    with pytest.raises(DataError, match="fewer than two classes of two images are in split val or test"):
        fitted_episodes([part(9), part(9, 9)])


def test_queries_for_chosen_protocols() -> None:
    five = {"5w5s": Protocol(5, 5, within_group=False)}
    assert [fitted_queries([count] * 9, five) for count in (40, 12, 5)] == [15, 7, 1]
