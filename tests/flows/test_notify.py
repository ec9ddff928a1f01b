"""Notifications: received by a real server, as JSON and by Apprise; an error at one address does not affect others."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from kshot.flows import notify
from tests import plugin_distribution


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """What a webhook on this machine received; KSHOT_NOTIFY names it."""
    received: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(notify.NAME, f"http://127.0.0.1:{server.server_port}/hook")
        yield received
        server.shutdown()


def test_a_webhook_hears_the_run_and_the_reason(heard: list[dict[str, str]]) -> None:
    said_by_prefect = "Flow run encountered an exception: class a has 1 image; needs 2"
    assert notify.failed("brave-fox", said_by_prefect) == []
    (news,) = heard
    assert news["title"] == "kshot: a retraining failed"
    assert (news["run"], news["reason"]) == ("brave-fox", "class a has 1 image; needs 2")
    assert news["text"] == "brave-fox: class a has 1 image; needs 2"


def test_an_address_of_apprise_hears_it_too(heard: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    place = notify.addresses()[0].removeprefix("http://")
    monkeypatch.setenv(notify.NAME, f"json://{place}")
    assert notify.failed("brave-fox", "no data") == []
    assert heard[0]["message"] == "brave-fox: no data"


def test_an_address_that_does_not_take_it_keeps_no_other_from_it(
    heard: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = notify.addresses()[0]
    bad = [good.replace("/hook", "/broken"), "http://127.0.0.1:1/secret", "nosuchservice://token"]
    monkeypatch.setenv(notify.NAME, " ".join([*bad, good]))
    troubles = notify.failed("brave-fox", "no data")
    assert len(troubles) == 3
    assert not any("secret" in trouble or "token" in trouble for trouble in troubles)
    assert len(heard) == 2


def test_a_notifier_of_a_plugin_gets_its_address_and_a_webhook_is_never_one(
    heard: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    text = "told = []\ndef tell(*news): told.append(news)\ndef fail(*news): raise OSError('no line')\n"
    names = {"pager": "extra.pager:tell", "fax": "extra.pager:fail", "http": "extra.pager:tell"}
    place = plugin_distribution.install(tmp_path, {"extra/pager.py": text}, {"notifiers": names})
    monkeypatch.syspath_prepend(str(place))
    webhook = notify.addresses()[0]
    monkeypatch.setenv(notify.NAME, f"pager://team-a fax://1 {webhook}")
    broken, shadowed = notify.failed("brave-fox", "no data")
    import extra.pager  # type: ignore[import-not-found]

    facts = {"run": "brave-fox", "reason": "no data"}
    assert extra.pager.told == [("pager://team-a", "kshot: a retraining failed", "brave-fox: no data", facts)]
    assert "fax address of KSHOT_NOTIFY did not take the news: no line" in broken
    assert "the notifier http is kshot's own" in shadowed and heard == []


def test_without_an_address_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(notify.NAME, raising=False)
    assert notify.failed("brave-fox", "no data") == []
