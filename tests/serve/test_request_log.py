"""The log of asked images: which requests it takes, its bounds by number, age and memory, what a deletion leaves."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from kshot.serve import request_log
from kshot.serve.actions.logged_requests import forget, give_labels, image, items
from kshot.serve.messages.refusals import Refused
from kshot.serve.request_log import drop_files, open_log
from kshot.serve.store import galleries
from kshot.serve.store.image_files import sha256_of
from kshot.serve.store.logged_table import LOGGED
from tests.serve.logged import Settings, opened, put, recognised, result

PAIR = (result("robin"), result("wren", unknown=True))


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"log": "all"}, ["wren", "robin"]),
        ({"log": "unknown"}, ["wren"]),
        ({"log": "off"}, []),
        ({"log": "sample", "log_share": 1.0}, ["wren", "robin"]),
        ({"log": "sample", "log_share": 0.0}, []),
    ],
)
def test_the_setting_says_which_images_are_kept(tmp_path: Path, settings: dict[str, object], labels: list[str]) -> None:
    _, log = opened(tmp_path, **settings)
    put(log, recognised("r", *PAIR))
    found = items(log).items
    assert [one.label for one in found] == labels
    for one in found:
        assert (one.request, one.gallery, one.model_version, one.revision) == ("r", "birds", "3", 7)
        assert image(log, one.item) == recognised("r", *PAIR).images[("robin", "wren").index(one.label)]


def test_a_gallery_takes_its_log_along_when_it_is_renamed_and_deleted(tmp_path: Path) -> None:
    store, log = opened(tmp_path)
    put(log, recognised("r", *PAIR))
    galleries.change(store, "birds", new_name="garden")
    assert {one.gallery for one in items(log, gallery="garden").items} == {"garden"}
    with pytest.raises(Refused, match="there is no gallery 'birds'"):
        items(log, gallery="birds")
    galleries.delete_gallery(store, "garden")
    assert items(log).items == []
    assert log.prune() == 2
    assert list(log.images.all()) == []
    put(log, recognised("late", *PAIR, gallery="garden"))
    assert list(log.images.all()) == []


def test_beyond_the_number_the_oldest_without_a_label_go_first(tmp_path: Path) -> None:
    _, log = opened(tmp_path, log_images=2)
    put(log, recognised("a", result("a")))
    give_labels(log, [(items(log).items[0].item, "robin")], "Ada")
    for name in "bcd":
        put(log, recognised(name, result(name)))
    assert log.prune() == 2
    assert [one.label for one in items(log, order="newest").items] == ["d", "a"]
    assert len(list(log.images.all())) == 2


def test_beyond_the_age_every_item_goes(tmp_path: Path) -> None:
    _, log = opened(tmp_path, log_days=2)
    put(log, recognised("a", result("a")), recognised("b", result("b")))
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="microseconds")
    with log.database.writing() as connection:
        connection.execute(update(LOGGED).where(LOGGED.c.label == "a").values(asked=old))
    assert (log.prune(), [one.label for one in items(log).items]) == (1, ["b"])


def test_what_is_gone_by_its_age_makes_room_for_the_rest(tmp_path: Path) -> None:
    _, log = opened(tmp_path, log_days=2, log_images=3)
    put(log, *(recognised(name, result(name)) for name in "abcde"))
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="microseconds")
    with log.database.writing() as connection:
        connection.execute(update(LOGGED).where(LOGGED.c.label.in_(["a", "b"])).values(asked=old))
    assert log.prune() == 2
    assert [one.label for one in items(log, order="newest").items] == ["e", "d", "c"]


def test_the_bounds_are_kept_while_requests_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "PRUNE_EVERY", 2)
    _, log = opened(tmp_path, log_images=3)
    put(log, *(recognised(str(number), result("a")) for number in range(9)))
    assert len(items(log).items) == 3


def test_images_that_wait_have_a_bound_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, log = opened(tmp_path)
    monkeypatch.setattr(request_log, "WAITING_BYTES", 10)
    put(log, recognised("a", result("a")))
    assert (log.dropped, items(log).items) == (1, [])
    assert log.trouble == "requests come faster than they can be logged"


def test_an_image_of_two_requests_goes_with_the_last(tmp_path: Path) -> None:
    _, log = opened(tmp_path)
    put(log, recognised("r", result("a")), recognised("r", result("b")))
    first, second = (one.item for one in items(log).items)
    digest = sha256_of(recognised("r", result("a")).images[0])
    forget(log, first)
    assert log.images.has(digest)
    forget(log, second)
    assert not log.images.has(digest)
    with pytest.raises(Refused, match=f"there is no logged request {second}"):
        forget(log, second)


def test_what_the_shadow_says_is_added_to_its_request(tmp_path: Path) -> None:
    _, log = opened(tmp_path, log="unknown")
    log.offer(recognised("r", *PAIR))
    log.offer_challenger("r", ["robin", "robin"])
    log.offer_challenger("not logged", ["robin"])
    log.stop()
    assert [(one.label, one.challenger) for one in items(log).items] == [("wren", "robin")]


def test_a_disk_that_fails_stops_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, log = opened(tmp_path)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(log.images, "put", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        put(log, recognised("a", result("a")))
    assert "a request was not logged: [Errno 28] No space left" in caplog.text
    assert log.trouble == "requests are not logged: the disk is full"
    put(log, recognised("b", result("b")))
    assert log.trouble == ""
    assert [one.label for one in items(log).items] == ["b"]


def test_an_error_that_only_a_bucket_s_client_knows_ends_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, log = opened(tmp_path)
    real = log.images.put

    def failing_once(sha256: str, content: bytes) -> None:
        monkeypatch.setattr(log.images, "put", real)
        raise RuntimeError("the bucket's own error")

    monkeypatch.setattr(log.images, "put", failing_once)
    put(log, recognised("a", result("a")), recognised("b", result("b")))
    assert [one.label for one in items(log).items] == ["b"]
    assert "the bucket's own error" in caplog.text


def test_a_gallery_s_name_may_come_in_unicode_s_decomposed_form(tmp_path: Path) -> None:
    store, log = opened(tmp_path)
    galleries.create(store, "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert items(log, gallery="cafe\N{COMBINING ACUTE ACCENT}").items == []


@pytest.mark.parametrize("item", [10**30, 2**63, 2**31, 0, -1])
def test_a_number_that_no_database_takes_is_an_unknown_item(tmp_path: Path, item: int) -> None:
    _, log = opened(tmp_path)
    for call in (
        lambda: items(log, after=item),
        lambda: image(log, item),
        lambda: give_labels(log, [(item, "robin")], "Ada"),
        lambda: forget(log, item),
    ):
        with pytest.raises(Refused, match=f"there is no logged request {item}"):
            call()


def test_a_log_is_read_after_it_was_turned_off(tmp_path: Path) -> None:
    store, log = opened(tmp_path)
    put(log, recognised("a", result("a")))
    again = open_log(store, Settings(log="off"))
    assert [one.label for one in items(again).items] == ["a"]
    drop_files(again, {sha256_of(recognised("a", result("a")).images[0])})
    assert len(list(again.images.all())) == 1
