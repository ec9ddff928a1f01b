import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from kshot.lifecycle.tracking import store
from kshot.serve.engine import registered_copy, shadow
from kshot.serve.store import disagreements
from tests.serve.running import ask, running, service_of, teach


def name_challenger(root: Path, version: str) -> None:
    store.connect(root)
    store.client().set_registered_model_alias("kshot", "challenger", version)


def wait_for(client: TestClient, images: int) -> disagreements.Disagreement:
    """The pair of versions when that many images were asked of both."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with service_of(client).store.database.reading() as connection:
            for one in disagreements.listed(connection):
                if one.images >= images:
                    return one
        time.sleep(0.02)
    raise AssertionError(service_of(client).shadow.trouble or "the shadow was not asked")


def test_the_challenger_is_asked_too_and_disagreement_is_kept_with_the_logged_requests(
    project: Path, classes: dict[str, list[bytes]]
) -> None:
    name_challenger(project, "2")
    few = list(classes.items())[:8]
    with running(project, shadow="challenger", log="all", poll_seconds=0.05) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        for name, images in few:
            teach(client, "shop", name, images[:1])
        asked = [image for _, images in few for image in images[1:4]]
        answer = ask(client, "shop", asked).json()
        found = wait_for(client, len(asked))
        assert (found.version, found.shadow, found.images) == ("1", "2", len(asked))
        assert client.get("/v1/service").json()["shadow"]["version"] == "2"
        assert service_of(client).shadow.at_start() == "shadow: challenger, version 2"
        service = service_of(client)
        service.log.stop()
        items = client.get("/v1/feedback", params={"limit": 100}).json()["items"]
        differ = sum(one["challenger"] != one["label"] for one in items)
        assert len(items) == len(asked) and differ == found.differ
        assert {one["request"] for one in items} == {answer["request"]}
        text = client.get("/metrics").text
        last = registered_copy.last(service.store.folder, "champion")
        assert last is not None and last.version == "1"
        assert f'kshot_shadow_images{{shadow="2",version="1"}} {len(asked)}.0' in text


def test_without_a_challenger_the_service_answers_as_before(project: Path, classes: dict[str, list[bytes]]) -> None:
    (name, images), *_ = classes.items()
    with running(project, shadow="challenger", poll_seconds=0.05) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        teach(client, "shop", name, images[:1])
        assert ask(client, "shop", images[:1]).status_code == 200
        described = client.get("/v1/service").json()
        assert (described["shadow"], described["state"]) == (None, "ready")
        assert service_of(client).shadow.at_start() == "shadow: challenger, which no version has yet"


def test_a_shadow_that_fails_once_says_so_and_is_asked_again(
    project: Path, classes: dict[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_challenger(project, "2")
    real = shadow.recognise

    def failing_once(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(shadow, "recognise", real)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(shadow, "recognise", failing_once)
    (name, images), *_ = classes.items()
    with running(project, shadow="challenger", poll_seconds=30) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        teach(client, "shop", name, images[:1])
        ask(client, "shop", images[1:2])
        until = time.monotonic() + 30
        while not (notes := client.get("/v1/service").json()["notes"]) and time.monotonic() < until:
            time.sleep(0.02)
        assert notes == ["the shadow challenger cannot be used: RuntimeError: out of memory"]
        ask(client, "shop", images[2:3])
        wait_for(client, 1)
        until = time.monotonic() + 30
        while client.get("/v1/service").json()["notes"] and time.monotonic() < until:
            time.sleep(0.02)
        assert client.get("/v1/service").json()["state"] == "ready"
