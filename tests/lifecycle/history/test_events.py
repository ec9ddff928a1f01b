"""The history as values, without a store: edits are visible, champions at any time, targets of a rollback."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from kshot.lifecycle.history import events
from kshot.lifecycle.history.events import ChampionPeriod, Event, EvidenceFile, Person

ADA = Person("Ada", "ada", "here")
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def chain(*steps: tuple[str, str, dict[str, str]]) -> list[Event]:
    """One event an hour: what happened, to which version, and the aliases after it."""
    found: list[Event] = []
    for number, (action, version, aliases) in enumerate(steps, 1):
        last = found[-1] if found else None
        event = Event(
            number=number,
            when=after(number - 1).isoformat(),
            action=action,
            version=version,
            before=last.after if last else {},
            after=aliases,
            who=ADA,
            process=1,
            why='because "ü"\n',
            compared_with="",
            rules="r",
            until="",
            proof=EvidenceFile("run", "decisions/x.json", "ab"),
            mark=str(number),
            previous=last.hash if last else "",
            manifest="ab",
        )
        found.append(events.seal(event))
    return found


HISTORY = chain(
    ("promoted", "1", {"champion": "1"}),
    ("waiting", "2", {"champion": "1", "challenger": "2"}),
    ("approved", "2", {"champion": "2"}),
    ("promoted", "3", {"champion": "3"}),
    ("rolled back", "2", {"champion": "2"}),
)
STAND = {"champion": "2"}


def test_an_event_of_before_manifests_keeps_its_hash() -> None:
    old = dataclasses.replace(HISTORY[0], manifest="")
    text = events.to_text(events.seal(old))
    assert "manifest" not in json.loads(text)
    found = events.from_text(text)
    assert found.hash == "43a9f30e4964fa4f2da6f60960c8f370950208f4c8917709ff3aa47a6d530785"
    assert events.verify([found], {"champion": "1"}) == [] and HISTORY[0].hash != found.hash


def test_an_event_comes_back_from_its_text_as_it_was():
    for event in HISTORY:
        assert events.from_text(events.to_text(event)) == event


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"number": 1}', "nonsense"])
def test_what_is_no_event_is_told(text: str):
    with pytest.raises(ValueError):
        events.from_text(text)


def test_a_history_that_nobody_touched_fits():
    assert events.verify(HISTORY, STAND) == [] and events.verify([], {}) == []


FIELDS = [field.name for field in dataclasses.fields(Event) if field.name not in ("number", "done")]


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
    found = events.verify(edited, STAND)
    assert found and found[0].startswith(f"event {place + 1} ")


def test_an_edit_with_a_new_hash_shows_in_the_event_after_it():
    forged = [*HISTORY]
    forged[1] = events.seal(dataclasses.replace(HISTORY[1], why="another reason"))
    found = events.verify(forged, STAND)
    assert len(found) == 1 and found[0].startswith("event 3 does not follow from the one before")


@pytest.mark.parametrize("place", range(4))
def test_an_event_that_is_gone_is_named(place: int):
    found = events.verify([*HISTORY[:place], *HISTORY[place + 1 :]], STAND)
    assert found[0].startswith(f"event {place + 1} is missing")


def test_an_end_that_was_cut_off_shows_in_the_aliases():
    found = events.verify(HISTORY[:4], STAND)
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
    assert events.verify(HISTORY, stand) == [f"{told}, outside kshot"]


def test_an_event_that_was_not_finished_is_told_as_such():
    cut = [*HISTORY[:3], dataclasses.replace(HISTORY[3], done=False)]
    (found,) = events.verify(cut, {"champion": "2"})
    assert "version 3 promoted by Ada (ada@here), 2026-01-31 15:00 UTC) was begun and not finished" in found


@pytest.mark.parametrize(
    ("hours", "champion"),
    [(-0.1, None), (0, "1"), (1.5, "1"), (2, "2"), (2.9, "2"), (3, "3"), (3.99, "3"), (4, "2"), (1000, "2")],
)
def test_who_was_champion_at_a_time(hours: float, champion: str | None):
    assert events.champion_at(HISTORY, after(hours)) == champion


def test_a_champion_that_came_back_has_two_periods():
    assert events.champion_periods(HISTORY) == [
        ChampionPeriod("1", after(0), after(2)),
        ChampionPeriod("2", after(2), after(3)),
        ChampionPeriod("3", after(3), after(4)),
        ChampionPeriod("2", after(4), None),
    ]


def test_a_time_without_a_champion_is_nobodys():
    found = events.champion_periods(chain(("promoted", "1", {"champion": "1"}), ("moved outside kshot", "", {})))
    assert found == [ChampionPeriod("1", after(0), after(1))]


def line(*champions: str) -> list[str]:
    """Where a rollback may go after these champions; "<2" is a rollback to 2."""
    steps = [
        ("rolled back" if name.startswith("<") else "promoted", name.lstrip("<"), {"champion": name.lstrip("<")})
        for name in champions
    ]
    return events.earlier_champions(chain(*steps))


@pytest.mark.parametrize(
    ("champions", "earlier"),
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
def test_rolling_back_goes_further_back_each_time(champions: str, earlier: list[str]):
    assert line(*champions.split()) == earlier


def test_the_machine_and_the_user_stand_beside_the_name_given():
    found = events.person(" Grace ")
    assert found.name == "Grace" and found.user and found.host
    assert events.person().name == found.user


def test_a_clock_that_was_set_back_gives_no_event_an_earlier_time() -> None:
    last = HISTORY[-1]
    now = datetime.fromisoformat(last.when)
    assert events.later_than(None, now) == (now.isoformat(timespec="microseconds"), "")
    assert events.later_than(last, now + timedelta(seconds=1))[1] == ""
    when, clock = events.later_than(last, now - timedelta(hours=3))
    assert datetime.fromisoformat(when) == now + timedelta(microseconds=1)
    assert datetime.fromisoformat(clock) == now - timedelta(hours=3)


def test_what_the_clock_said_is_part_of_the_hash_and_events_without_it_keep_theirs() -> None:
    late = events.seal(dataclasses.replace(HISTORY[-1], clock="2020-01-01T00:00:00+00:00"))
    assert late.hash != HISTORY[-1].hash and events.from_text(events.to_text(late)) == late
    assert "clock" not in json.loads(events.to_text(HISTORY[-1]))


def test_an_old_history_that_ran_backwards_is_told_and_its_order_says_who_was_champion() -> None:
    first, second = chain(("promoted", "1", {"champion": "1"}), ("promoted", "2", {"champion": "2"}))
    earlier = datetime.fromisoformat(first.when) - timedelta(hours=5)
    second = events.seal(dataclasses.replace(second, when=earlier.isoformat()))
    found = [first, second]
    (told,) = events.verify(found, second.after)
    assert told.startswith("event 2 (") and "is dated before event 1" in told
    assert events.broken(found, second.after) == []
    assert events.champion_at(found, earlier + timedelta(hours=1)) is None
    assert events.champion_at(found, datetime.fromisoformat(first.when)) == "2"
    assert [one.version for one in events.champion_periods(found)] == ["1", "2"]
