"""Logged requests for a person: their orders, pages that stay apart while new ones come, and labels."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from kshot.serve.actions.logged_requests import Order, give_labels, items
from kshot.serve.messages.refusals import Refused
from kshot.serve.request_log import RequestLog, open_log
from kshot.serve.rest.routes.feedback_router import feedback_router
from kshot.serve.store.gallery_store import open_store
from tests.serve.logged import Settings, opened, put, recognised, result


@pytest.fixture
def log(tmp_path: Path) -> RequestLog:
    """Four requests; the third is unknown, the second is close, the shadow disagrees on the first."""
    _, log = opened(tmp_path)
    log.offer(recognised("1", result("sure", 0.9, 0.1)))
    log.offer(recognised("2", result("close", 0.51, 0.49)))
    log.offer(recognised("3", result("strange", 0.8, 0.2, unknown=True)))
    log.offer(recognised("4", result("lonely", None)))
    log.offer_challenger("1", ["other"])
    log.offer_challenger("2", ["close"])
    log.stop()
    return log


@pytest.mark.parametrize(
    ("order", "labels"),
    [
        ("unknown", ["strange", "close", "sure", "lonely"]),
        ("margin", ["close", "strange", "sure", "lonely"]),
        ("disagreement", ["sure", "close", "strange", "lonely"]),
        ("newest", ["lonely", "strange", "close", "sure"]),
    ],
)
def test_each_order_is_kept_over_pages_while_items_come_and_are_labelled(
    log: RequestLog, order: Order, labels: list[str]
) -> None:
    assert [one.label for one in items(log, order=order).items] == labels
    found: list[str] = []
    after: int | None = None
    for _ in range(4):
        page = items(log, order=order, after=after, limit=1)
        found += [one.label for one in page.items]
        give_labels(log, [(page.items[0].item, "robin")], "Ada")
        put(log, recognised(f"new {len(found)}", result("new", None))) if order == "newest" else None
        after = page.next
    assert found == labels


def test_labels_are_given_all_or_none(log: RequestLog) -> None:
    first, second, *_ = (one.item for one in items(log, order="newest").items)
    with pytest.raises(Refused, match="there is no logged request 999"):
        give_labels(log, [(first, "robin"), (999, "wren")], "Ada")
    assert items(log, labelled=True).items == []
    assert give_labels(log, [(first, "robin"), (second, "wren/male")], " Ada ") == 2
    assert [(one.given, one.by) for one in items(log, order="newest", labelled=True).items] == [
        ("robin", "Ada"),
        ("wren/male", "Ada"),
    ]
    assert {one.item for one in items(log, labelled=True).items} == {first, second}
    assert {one.label for one in items(log, labelled=False).items} == {"sure", "close"}
    for name, by in (("", "Ada"), ("a\nb", "Ada"), ("robin", " "), ("x" * 5000, "Ada")):
        with pytest.raises(Refused, match="the name of the"):
            give_labels(log, [(first, name)], by)


def test_a_page_after_a_deleted_item_is_refused(log: RequestLog) -> None:
    with pytest.raises(Refused, match="there is no logged request 999"):
        items(log, after=999)


def test_the_endpoints_list_show_label_and_delete(log: RequestLog) -> None:
    app = FastAPI()
    app.include_router(feedback_router(log))
    client = TestClient(app)
    page = client.get("/v1/feedback", params={"gallery": "birds", "limit": 3}).json()
    assert ([one["label"] for one in page["items"]], page["next"]) == (
        ["strange", "close", "sure"],
        page["items"][2]["item"],
    )
    item = page["items"][0]["item"]
    shown = client.get(f"/v1/feedback/{item}/image")
    assert (shown.headers["content-type"], shown.headers["x-content-type-options"]) == ("image/png", "nosniff")
    assert shown.content == recognised("3", result("strange")).images[0]
    body = {"labels": [{"item": item, "class": "robin"}], "by": "Ada"}
    assert client.post("/v1/feedback/labels", json=body).json() == {"labelled": 1}
    assert client.get("/v1/feedback").json()["items"][0]["given"] == "robin"
    assert client.delete(f"/v1/feedback/{item}").status_code == 204
    assert item not in [one["item"] for one in client.get("/v1/feedback").json()["items"]]
    wrong = [{"order": "best"}, {"limit": 0}, {"limit": 501}, {"after": "x"}]
    assert {client.get("/v1/feedback", params=params).status_code for params in wrong} == {422}


LABEL = """
import os, signal, sys
from pathlib import Path
from kshot.serve.actions import logged_requests
from kshot.serve.request_log import open_log
from kshot.serve.store.gallery_store import open_store
from tests.serve.logged import Settings

log, real, left = open_log(open_store(Path(sys.argv[1])), Settings()), logged_requests.update, int(sys.argv[2])

def killed(table):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(table)

logged_requests.update = killed
logged_requests.give_labels(log, [(1, "wren"), (2, "wren")], "Ada")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("done", "labels"), [(0, [None, None]), (1, [None, None]), (2, ["wren", "wren"])])
def test_labels_of_a_process_that_was_killed_are_all_there_or_none(
    tmp_path: Path, done: int, labels: list[str | None]
) -> None:
    """Killed before the first label, between both, and after what was acknowledged."""
    store, log = opened(tmp_path)
    put(log, recognised("1", result("robin"), result("robin")))
    store.close()
    command = [sys.executable, "-c", LABEL, str(tmp_path), str(done)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = open_store(tmp_path)
    found = items(open_log(again, Settings()), order="newest").items
    assert [one.given for one in found] == labels
    again.close()
