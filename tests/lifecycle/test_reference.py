"""Which versions a challenger must not be worse than, from events and tags alone."""

import json

import pytest

from kshot.lifecycle import events
from kshot.lifecycle.events import CHAMPION, Event
from kshot.lifecycle.reference import best, champions

WHO = events.Person("Ada", "ada", "host")


def event(action: str, version: str, before: str, after: str) -> Event:
    aliases = [{CHAMPION: name} if name else {} for name in (before, after)]
    return Event(1, "2026-01-01", action, version, *aliases, WHO, 1, "", "", "", "", None, "", "")


def tags(key: str, data: str = "d", **accuracy: float) -> dict[str, str]:
    scores = {name: [mean, mean, mean] for name, mean in accuracy.items()}
    return {
        "kshot.lineage": key,
        "kshot.data_version": data,
        "kshot.episodes_hash": "e",
        "kshot.accuracy": json.dumps(scores),
    }


PROMOTIONS = [
    event(events.PROMOTED, "1", "", "1"),
    event(events.WAITING, "2", "1", "1"),
    event(events.APPROVED, "2", "1", "2"),
    event(events.PROMOTED_BY_HAND, "3", "2", "3"),
]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ([], ["1", "2", "3"]),
        ([event(events.REFUSED, "4", "3", "3")], ["1", "2", "3"]),
        ([event(events.ROLLED_BACK, "2", "3", "2")], ["1", "2"]),
        ([event(events.ROLLED_BACK, "2", "3", "2"), event(events.PROMOTED_BY_HAND, "3", "2", "3")], ["1", "2", "3"]),
        ([event(events.REJECTED, "1", "3", "3")], ["2", "3"]),
        ([event(events.MOVED_OUTSIDE, "9", "3", "9")], ["1", "2", "3"]),
    ],
)
def test_champions_are_those_that_a_decision_made_and_no_person_took_back(more: list[Event], found: list[str]) -> None:
    assert champions([*PROMOTIONS, *more]) == found


def test_the_best_is_found_protocol_by_protocol() -> None:
    versions = {"1": tags("a", p=0.9, q=0.5), "2": tags("b", p=0.8, q=0.7), "3": tags("c", p=0.85, q=0.6)}
    assert best(versions, ["p", "q", "r"], tags("z"), "3") == {"p": "1", "q": "2"}


def test_the_champion_wins_ties_and_then_the_first() -> None:
    versions = {"2": tags("b", p=0.9), "10": tags("c", p=0.9), "3": tags("d", p=0.9)}
    assert best(versions, ["p"], tags("z"), "10") == {"p": "10"}
    assert best(versions, ["p"], tags("z"), None) == {"p": "2"}


def test_other_data_other_episodes_and_the_challenger_itself_are_no_reference() -> None:
    versions = {
        "1": tags("a", data="another", p=0.9),
        "2": {**tags("b", p=0.9), "kshot.episodes_hash": "another"},
        "3": tags("z", p=0.9),
    }
    assert best(versions, ["p"], tags("z"), None) == {}
