"""A command changes only what it names in the stored schedule."""

import dataclasses

import pytest

from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.pipeline.schedule import CRON, EVERY, NEW_DATA
from kshot.lifecycle.pipeline.schedule_changes import PROJECT, Changes, changed, parts, without
from tests.lifecycle.pipeline.test_schedule import ALL

PAUSED = schedule.pause(ALL, (CRON,), True)


def test_a_source_typed_later_keeps_the_clock_the_commit_the_settings_and_the_pause() -> None:
    before = schedule.without(PAUSED, NEW_DATA)
    after = changed(before, Changes(on_new_data="/data/other"))
    assert after == dataclasses.replace(before, new_data=True, source="/data/other")
    assert (
        after.paused == (CRON,) and after.cron == ALL.cron and after.ref == ALL.ref and after.settings == ALL.settings
    )


def test_naming_nothing_keeps_all() -> None:
    assert changed(PAUSED, Changes()) == PAUSED


def test_what_is_named_again_is_replaced_and_settings_by_their_key() -> None:
    after = changed(ALL, Changes(cron="0 4 * * *", ref="v2", sets=["train.steps=30", "train.seed=1"]))
    assert (after.cron, after.ref, after.settings) == ("0 4 * * *", "v2", ("train.steps=30", "train.seed=1"))
    assert changed(ALL, Changes(on_new_data=PROJECT)).source is None


def test_an_interval_that_stays_goes_on_counting_and_another_begins_now() -> None:
    assert changed(ALL, Changes(every="6h")).since == ALL.since
    assert changed(ALL, Changes(every="5h")).since > ALL.since


def test_how_alone_is_no_schedule_and_changes_one_that_is_there() -> None:
    with pytest.raises(KshotError, match="--ref says how; needs --cron, --every or --on-new-data too"):
        changed(None, Changes(ref="main"))
    assert changed(ALL, Changes(ref="main")).ref == "main"


def test_each_part_can_be_removed_by_its_name() -> None:
    whole = dataclasses.replace(ALL, if_drifted=True, extend=True, data="v1")
    assert parts(whole) == (CRON, EVERY, NEW_DATA, "if-drifted", "extend", "ref", "data", "set")
    left = whole
    for name in parts(whole):
        left = without(left, name)
    assert parts(left) == ()


def test_the_own_data_is_watched_whatever_has_drifted() -> None:
    watched = changed(None, Changes(on_new_data="photos", if_drifted=True))
    assert watched.if_drifted and changed(watched, Changes(poll="5m")).if_drifted
    assert not changed(watched, Changes(on_new_data=PROJECT)).if_drifted


def test_how_new_data_is_added_is_stored_with_its_source() -> None:
    watched = changed(None, Changes(on_new_data="photos", extend=True))
    assert watched.extend and changed(watched, Changes(poll="5m")).extend
    assert not changed(watched, Changes(on_new_data=PROJECT)).extend
    assert not schedule.without(watched, NEW_DATA).extend and not changed(None, Changes(on_new_data="photos")).extend
    alone = Changes(extend=True)
    for asked in (alone, Changes(on_new_data=PROJECT, extend=True), Changes(cron="0 3 * * 1", extend=True)):
        with pytest.raises(KshotError, match="--extend says how new data is added; needs --on-new-data SOURCE"):
            changed(None, asked)
