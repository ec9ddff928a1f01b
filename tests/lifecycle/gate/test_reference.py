"""The versions that a challenger must not be worse than, from events and tags alone."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from kshot.lifecycle.gate import gate_rules
from kshot.lifecycle.gate.paired import Results, compared
from kshot.lifecycle.gate.reference import best, champions
from kshot.lifecycle.history import events
from kshot.lifecycle.history.events import CHAMPION, Event
from tests.lifecycle.gate.test_gate_rules import RULES

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


def predictions(version: int, level: float) -> Results:
    """1,000 episodes of 75 queries; versions agree on most queries, and each errs on some of its own."""
    shared, own = (np.random.default_rng(seed).random((1000, 75)) for seed in (0, version))
    right = ((shared < level) ^ (own < 0.02)).sum(1)
    episodes = pd.DataFrame({"protocol": "p", "episode": range(1000), "accuracy": right / 75})
    cells = episodes.assign(**{"class": "c", "rotation": 0, "group": "", "queries": 75, "right": right})
    return Results(episodes, cells.drop(columns="accuracy"))


def drift(*, with_reference: bool) -> float:
    """How much of 0.8 points is lost after ten challengers, each 0.08 points worse than the one before."""
    rules = dataclasses.replace(RULES, min_accuracy={"p": 0.5}, group_protocol="p")
    found, tagged, history = {"1": predictions(1, 0.9)}, {"1": tags("1", p=0.9)}, [PROMOTIONS[0]]
    tagged["1"] = tags("1", p=float(found["1"].episodes["accuracy"].mean()))
    level, champion = 0.9, "1"
    for number in range(2, 12):
        version, worse = str(number), level - 0.0008
        ours = predictions(number, worse)
        mine = tags(version, p=float(ours.episodes["accuracy"].mean()))
        asked = {champion: gate_rules.CHAMPION}
        if with_reference:
            known = {name: tagged[name] for name in champions(history)}
            asked = {**dict.fromkeys(best(known, ["p"], mine, champion).values(), gate_rules.BEST), **asked}
        comparisons = tuple(compared(name, role, ("p",), ours, found[name], "p") for name, role in asked.items())
        evidence = gate_rules.Evidence(
            {"p": comparisons[0].difference["p"]._replace(mean=worse)}, champion, comparisons
        )
        if gate_rules.decide(evidence, rules).promote:
            history.append(event(events.PROMOTED, version, champion, version))
            found[version], tagged[version], champion, level = ours, mine, version, worse
    return 0.9 - level


def test_ten_slightly_worse_challengers_are_stopped_by_the_best_champion() -> None:
    assert drift(with_reference=False) > 0.005
    assert drift(with_reference=True) < 0.003
