"""The stored schedule: durations and zones as people write them, stored completely, changed by name."""

import dataclasses
import json
from pathlib import Path

import pytest

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA, Schedule

ALL = Schedule(
    cron="0 3 * * 1",
    every_s=6 * 3600.0,
    new_data=True,
    source="/data/incoming",
    poll_s=60.0,
    timezone="Europe/Berlin",
    catch_up="once",
    overlap="wait",
    ref="origin/main",
    data=None,
    settings=("train.steps=20",),
    since="2026-11-21T10:00:00+00:00",
)


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("90m", 5400), ("6h", 21600), ("1d", 86400), ("1h30m", 5400), ("1.5h", 5400)]
)
def test_a_duration_is_read(text: str, value: float) -> None:
    assert schedule.seconds(text) == value


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "-6h", "6hours", "1h30"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(KshotError, match=r"is no duration; write it like 30s, 90m, 6h"):
        schedule.seconds(text)


@pytest.mark.parametrize(("value", "text"), [(5400, "1h30m"), (86400, "1d"), (61.4, "1m1s"), (0, "0s")])
def test_a_duration_is_shown_as_it_is_written(value: float, text: str) -> None:
    assert schedule.duration(value) == text


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc", "MEZ "])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(KshotError, match="is no time zone; needs a name such as UTC"):
        schedule.need_zone(name)


def test_a_schedule_is_kept_as_it_was(tmp_path: Path) -> None:
    assert schedule.read(tmp_path) is None
    schedule.write(tmp_path, ALL)
    assert schedule.read(tmp_path) == ALL


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"settings": [], "paused": [], "more": 1})])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    schedule.write(tmp_path, ALL)
    (tmp_path / schedule.FILE).write_text(text)
    with pytest.raises(KshotError, match=r"schedule\.json is damaged .* remove it"):
        schedule.read(tmp_path)


def test_each_way_to_start_has_a_name_and_goes_alone() -> None:
    assert ALL.names() == (CRON, EVERY, NEW_DATA)
    paused = schedule.pause(ALL, (EVERY, NEW_DATA), True)
    assert paused.paused == (EVERY, NEW_DATA)
    assert schedule.pause(paused, (EVERY,), False).paused == (NEW_DATA,)
    assert schedule.without(paused, EVERY) == dataclasses.replace(ALL, every_s=None, paused=(NEW_DATA,))
    assert schedule.without(ALL, NEW_DATA).names() == (CRON, EVERY)
