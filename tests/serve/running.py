"""A running service in this process, asked through its application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from kshot.serve.app import create_app
from kshot.serve.service import GalleryService, open_service
from kshot.serve.settings import ServeSettings

LOOPBACK = ("127.0.0.1", 50000)
ELSEWHERE = ("192.0.2.7", 50000)
AT = "http://127.0.0.1:8000"


@contextmanager
def running(root: Path, **settings: Any) -> Iterator[TestClient]:
    """A client on loopback of the project's service."""
    made = ServeSettings(**{"device": "cpu", "requests_per_second": 0.0, "batch_wait_ms": 1.0, **settings})
    with TestClient(create_app(open_service(root, made)), base_url=AT, client=LOOPBACK) as client:
        yield client


def service_of(client: TestClient) -> GalleryService:
    found: GalleryService = client.app.state.service  # type: ignore[attr-defined]
    return found


def elsewhere(client: TestClient) -> TestClient:
    """A client of the same service on another machine."""
    return TestClient(client.app, base_url=AT, client=ELSEWHERE)


def files(images: list[bytes], field: str = "images") -> list[tuple[str, tuple[str, bytes]]]:
    return [(field, (f"{place}.png", image)) for place, image in enumerate(images)]


def teach(client: TestClient, gallery: str, class_name: str, images: list[bytes]) -> dict[str, Any]:
    answer = client.post(f"/v1/galleries/{gallery}/examples", data={"class": class_name}, files=files(images))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(client: TestClient, gallery: str, images: list[bytes], **form: int) -> httpx.Response:
    return client.post(f"/v1/galleries/{gallery}/recognise", data=form, files=files(images))


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The message of an answer that must be this refusal, in the one shape of all."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    if answer.url.path.startswith("/v2/"):  # the Open Inference Protocol's form
        body["error"] = {"code": body.pop("code"), "message": body["error"]}
    assert set(body) == {"error", "request"} and body["error"]["code"] == code
    assert body["request"] == answer.headers["X-Request-Id"]
    message: str = body["error"]["message"]
    assert message and "\n" not in message
    return message
