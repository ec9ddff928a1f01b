"""Events as values: their text, their hash, their time."""

import dataclasses
import json
from datetime import datetime, timedelta

import pytest

from kshot.lifecycle.history import event_chain, events
from tests.lifecycle.history.event_chains import HISTORY


def test_an_event_of_before_manifests_keeps_its_hash() -> None:
    old = dataclasses.replace(HISTORY[0], manifest="")
    text = events.to_text(events.seal(old))
    assert "manifest" not in json.loads(text)
    found = events.from_text(text)
    assert found.hash == "43a9f30e4964fa4f2da6f60960c8f370950208f4c8917709ff3aa47a6d530785"
    assert event_chain.verify([found], {"champion": "1"}) == [] and HISTORY[0].hash != found.hash


def test_an_event_comes_back_from_its_text_as_it_was():
    for event in HISTORY:
        assert events.from_text(events.to_text(event)) == event


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"number": 1}', "nonsense"])
def test_what_is_no_event_is_told(text: str):
    with pytest.raises(ValueError):
        events.from_text(text)


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
