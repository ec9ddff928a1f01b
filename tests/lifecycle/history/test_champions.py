"""Champions at any time, their periods, and the targets of a rollback."""

import pytest

from kshot.lifecycle.history import champions
from kshot.lifecycle.history.champions import ChampionPeriod
from tests.lifecycle.history.event_chains import HISTORY, after, chain


@pytest.mark.parametrize(
    ("hours", "champion"),
    [(-0.1, None), (0, "1"), (1.5, "1"), (2, "2"), (2.9, "2"), (3, "3"), (3.99, "3"), (4, "2"), (1000, "2")],
)
def test_who_was_champion_at_a_time(hours: float, champion: str | None):
    assert champions.champion_at(HISTORY, after(hours)) == champion


def test_a_champion_that_came_back_has_two_periods():
    assert champions.champion_periods(HISTORY) == [
        ChampionPeriod("1", after(0), after(2)),
        ChampionPeriod("2", after(2), after(3)),
        ChampionPeriod("3", after(3), after(4)),
        ChampionPeriod("2", after(4), None),
    ]


def test_a_time_without_a_champion_is_nobodys():
    found = champions.champion_periods(chain(("promoted", "1", {"champion": "1"}), ("moved outside kshot", "", {})))
    assert found == [ChampionPeriod("1", after(0), after(1))]


def targets(*versions: str) -> list[str]:
    """Where a rollback may go after these champions; "<2" is a rollback to 2."""
    steps = [
        ("rolled back" if name.startswith("<") else "promoted", name.lstrip("<"), {"champion": name.lstrip("<")})
        for name in versions
    ]
    return champions.earlier_champions(chain(*steps))


@pytest.mark.parametrize(
    ("versions", "earlier"),
    [
        ("", []),
        ("1", []),
        ("1 2", ["1"]),
        ("1 2 3", ["2", "1"]),
        ("1 2 3 <2", ["1"]),
        ("1 2 3 <2 <1", []),
        ("1 2 3 <1", []),
        ("1 2 3 <2 4", ["2", "1"]),
        ("1 2 3 <2 3", ["2", "1"]),
        ("1 2 1", ["2"]),
        ("1 2 <1 <2", []),
    ],
)
def test_rolling_back_goes_further_back_each_time(versions: str, earlier: list[str]):
    assert targets(*versions.split()) == earlier
