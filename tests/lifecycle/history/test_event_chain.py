"""The chain of events: a changed, missing or unfinished event is found."""

import dataclasses
import json
from datetime import datetime, timedelta

import pytest

from kshot.lifecycle.history import champions, event_chain, events
from kshot.lifecycle.history.events import Event
from tests.lifecycle.history.event_chains import HISTORY, chain

STAND = {"champion": "2"}
FIELDS = [field.name for field in dataclasses.fields(Event) if field.name not in ("number", "done")]


def test_a_history_that_nobody_touched_fits():
    assert event_chain.verify(HISTORY, STAND) == [] and event_chain.verify([], {}) == []


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_edit_of_any_field_of_any_event_names_that_event(field: str, place: int):
    content = json.loads(events.to_text(HISTORY[place]))
    old = content.get(field, "")
    content[field] = {"x": "1"} if field in ("before", "after") else None if field == "proof" else f"{old}x"
    if field == "who":
        content[field] = {**old, "name": "Eve"}
    elif field == "process":
        content[field] = 2
    edited = [*HISTORY]
    edited[place] = events.from_text(json.dumps(content))
    found = event_chain.verify(edited, STAND)
    assert found and found[0].startswith(f"event {place + 1} ")


def test_an_edit_with_a_new_hash_shows_in_the_event_after_it():
    forged = [*HISTORY]
    forged[1] = events.seal(dataclasses.replace(HISTORY[1], why="another reason"))
    found = event_chain.verify(forged, STAND)
    assert len(found) == 1 and found[0].startswith("event 3 does not follow from the one before")


@pytest.mark.parametrize("place", range(4))
def test_an_event_that_is_gone_is_named(place: int):
    found = event_chain.verify([*HISTORY[:place], *HISTORY[place + 1 :]], STAND)
    assert found[0].startswith(f"event {place + 1} is missing")


def test_an_end_that_was_cut_off_shows_in_the_aliases():
    found = event_chain.verify(HISTORY[:4], STAND)
    assert found == ["alias champion was moved from version 3 to version 2, outside kshot"]


@pytest.mark.parametrize(
    ("stand", "told"),
    [
        ({"champion": "1"}, "alias champion was moved from version 2 to version 1"),
        ({}, "alias champion was taken away from version 2"),
        ({"champion": "2", "challenger": "3"}, "alias challenger was set to version 3"),
    ],
)
def test_an_alias_that_was_moved_by_hand_is_told(stand: dict[str, str], told: str):
    assert event_chain.verify(HISTORY, stand) == [f"{told}, outside kshot"]


def test_an_event_that_was_not_finished_is_told_as_such():
    cut = [*HISTORY[:3], dataclasses.replace(HISTORY[3], done=False)]
    (found,) = event_chain.verify(cut, {"champion": "2"})
    assert "version 3 promoted by Ada (ada@here), 2026-01-31 15:00 UTC) was begun and not finished" in found


def test_an_old_history_that_ran_backwards_is_told_and_its_order_says_who_was_champion() -> None:
    first, second = chain(("promoted", "1", {"champion": "1"}), ("promoted", "2", {"champion": "2"}))
    earlier = datetime.fromisoformat(first.when) - timedelta(hours=5)
    second = events.seal(dataclasses.replace(second, when=earlier.isoformat()))
    found = [first, second]
    (told,) = event_chain.verify(found, second.after)
    assert told.startswith("event 2 (") and "is dated before event 1" in told
    assert event_chain.broken(found, second.after) == []
    assert champions.champion_at(found, earlier + timedelta(hours=1)) is None
    assert champions.champion_at(found, datetime.fromisoformat(first.when)) == "2"
    assert [one.version for one in champions.champion_periods(found)] == ["1", "2"]
