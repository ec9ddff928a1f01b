"""What must not be taught or asked: each is refused with its status and one line, and nothing is changed by it."""

import asyncio
import base64
import contextlib
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import event

from kshot.serve.rest import front
from kshot.serve.store import examples
from kshot.serve.store.image_files import sha256_of
from tests.serve import served_project
from tests.serve.running import AT, LOOPBACK, ask, files, refused, running, service_of, teach

Classes = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def client(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = served_project.copy(template, tmp_path_factory.mktemp("bad") / "project")
    with running(root, body_bytes=2**20, import_bytes=2**21, image_pixels=10**6) as client:
        yield client


@pytest.fixture(autouse=True)
def shop(client: TestClient, classes: Classes) -> Iterator[None]:
    """A gallery of two classes, which no test may change."""
    client.post("/v1/galleries", json={"name": "shop"})
    for name, images in list(classes.items())[:2]:
        teach(client, "shop", name, images[:1])
    before = client.get("/v1/galleries/shop").json()
    yield
    assert client.get("/v1/galleries/shop").json() == before


def encoded(image: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def header_of(width: int, height: int) -> bytes:
    """A PNG of that size without its pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1) + b"IDAT"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 415, "not_an_image"),
        (b"hello", 415, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not_an_image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", 415, "not_an_image"),
        (encoded(Image.new("L", (200, 200), 7), "PNG")[:90], 422, "damaged_image"),
        (header_of(30_000, 30_000), 413, "image_too_large"),
        (encoded(Image.new("L", (2000, 1000)), "PNG"), 413, "image_too_large"),
    ],
    ids=["empty", "text", "svg", "postscript", "truncated", "30,000 x 30,000", "over the limit"],
)
def test_what_is_no_sound_image_is_refused_by_name(
    client: TestClient, classes: Classes, content: bytes, status: int, code: str
) -> None:
    (name, images), *_ = classes.items()
    both = files([images[1], content])
    for answer in (
        client.post("/v1/galleries/shop/recognise", files=both),
        client.post("/v1/galleries/shop/examples", data={"class": name}, files=both),
    ):
        assert "images[1] ('1.png')" in refused(answer, status, code)


def test_an_animation_is_taught_by_its_first_frame_and_that_is_told(client: TestClient, classes: Classes) -> None:
    frames = [Image.open(io.BytesIO(image)) for image in next(iter(classes.values()))[:2]]
    client.post("/v1/galleries", json={"name": "films"})
    film = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    taught = teach(client, "films", "film", [film])
    assert "several frames or pages, of which the first is used" in taught["notes"][0]
    client.delete("/v1/galleries/films")


def test_the_same_image_in_two_classes_is_taught_and_told(client: TestClient, classes: Classes) -> None:
    client.post("/v1/galleries", json={"name": "twice"})
    image = next(iter(classes.values()))[0]
    teach(client, "twice", "a", [image])
    assert teach(client, "twice", "b", [image])["notes"] == ["0.png, taught as 'b', is in class 'a' too"]
    client.delete("/v1/galleries/twice")


def test_too_many_images_are_refused_before_one_is_decoded(client: TestClient, classes: Classes) -> None:
    image = next(iter(classes.values()))[0]
    assert "64" in refused(ask(client, "shop", [image] * 65), 413, "too_many_images")
    many = {"images": ["AA"] * 10_000}
    assert "10,000" in refused(client.post("/v1/galleries/shop/recognise", json=many), 413, "too_many_images")
    refused(client.post("/v1/galleries/shop/recognise", data={"next": "1"}, files=files([image], "x")), 422, "no_image")
    refused(client.post("/v1/galleries/shop/recognise", json={"images": []}), 422, "bad_request")


def test_a_body_over_the_limit_is_refused_by_its_length_or_by_what_comes(client: TestClient) -> None:
    place = "/v1/galleries/shop/recognise"
    text = json.dumps({"images": ["A" * 2**21]})
    answer = client.post(place, content=text, headers={"Content-Type": "application/json"})
    assert "1,048,576 bytes" in refused(answer, 413, "body_too_large") and answer.headers["connection"] == "close"

    def parts() -> Iterator[bytes]:
        yield from [b"A" * 2**16] * 100

    refused(client.post(place, content=parts(), headers={"Content-Type": "application/json"}), 413, "body_too_large")
    refused(client.post("/v1/galleries/shop/import", content=b"A" * (2**21 + 1)), 413, "body_too_large")


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "application/json"}, b"{", 400, "bad_json"),
        ({"Content-Type": "application/json"}, b'{"images": ["AAA"]}', 422, "bad_base64"),
        ({"Content-Type": "application/json"}, b'{"images": "AAAA"}', 422, "bad_request"),
        ({"Content-Type": "application/json"}, b'{"images": ["AAAA"], "nxt": 1}', 422, "bad_request"),
        ({"Content-Type": "application/json"}, b'{"images": ["AAAA"], "next": 1e9}', 422, "bad_request"),
        ({"Content-Type": "text/plain"}, b"AAAA", 415, "unsupported_body"),
        ({}, b"", 415, "unsupported_body"),
        ({"Content-Type": "multipart/form-data"}, b"AAAA", 400, "bad_form"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b", 415, "encoded_body"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--y\r\n\r\nAAAA", 400, "bad_form"),
    ],
)
def test_a_body_of_another_form_is_refused(
    client: TestClient, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    refused(client.post("/v1/galleries/shop/recognise", content=content, headers=headers), status, code)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\nb", "a\x00b", "..", "a//b", "\u202egnp", " a", "a\\b"])
def test_a_class_name_that_cannot_be_kept_is_refused(client: TestClient, classes: Classes, name: str) -> None:
    image = base64.b64encode(next(iter(classes.values()))[1]).decode()
    answer = client.post("/v1/galleries/shop/examples", json={"examples": [{"class": name, "image": image}]})
    refused(answer, 422, "bad_name")
    (known, *_) = classes
    refused(client.patch(f"/v1/galleries/shop/classes/{known}", json={"name": name}), 422, "bad_name")
    refused(client.post("/v1/galleries", json={"name": name}), 422, "bad_name")


def test_markup_in_a_class_name_is_text(client: TestClient, classes: Classes) -> None:
    client.post("/v1/galleries", json={"name": "markup"})
    name = "<img src=x onerror=alert(1)>"
    teach(client, "markup", name, next(iter(classes.values()))[:1])
    answer = ask(client, "markup", next(iter(classes.values()))[1:2])
    assert answer.json()["results"][0]["label"] == name
    assert (
        answer.headers["content-type"] == "application/json" and answer.headers["x-content-type-options"] == "nosniff"
    )
    exported = client.get("/v1/galleries/markup/export").content
    assert f"images/{name}/" in zipfile.ZipFile(io.BytesIO(exported)).namelist()[0]
    client.delete("/v1/galleries/markup")


@pytest.mark.parametrize("threshold", ["1e999", "Infinity", "NaN", "-1"])
def test_a_threshold_is_a_number_that_an_answer_can_say(client: TestClient, threshold: str) -> None:
    body = f'{{"unknown_threshold": {threshold}}}'
    headers = {"Content-Type": "application/json"}
    answer = client.patch("/v1/galleries/shop", content=body, headers=headers)
    refused(answer, 422, "bad_request")


def test_unknown_galleries_classes_examples_and_addresses_are_404(client: TestClient, classes: Classes) -> None:
    image = next(iter(classes.values()))[1]
    refused(ask(client, "nowhere", [image]), 404, "unknown_gallery")
    refused(
        client.post("/v1/galleries/nowhere/examples", data={"class": "a"}, files=files([image])), 404, "unknown_gallery"
    )
    refused(client.get("/v1/galleries/nowhere/export"), 404, "unknown_gallery")
    refused(client.post("/v1/galleries/nowhere/import", content=b"PK"), 404, "unknown_gallery")
    refused(client.get("/v1/galleries/nowhere/suspects"), 404, "unknown_gallery")
    refused(client.delete("/v1/galleries/shop/classes/nowhere"), 404, "unknown_class")
    for number in ("0", "-1", "999999", "9" * 30):
        refused(client.get(f"/v1/galleries/shop/examples/{number}"), 404, "unknown_example")
    refused(client.get("/v1/galleries/shop/examples/x"), 422, "bad_request")
    refused(client.get("/v1/nowhere"), 404, "not_found")
    refused(client.put("/v1/galleries/shop"), 405, "method_not_allowed")
    refused(client.get("/v1/galleries/shop/examples", params={"limit": 10**9}), 422, "bad_request")


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ({"../a/1.png": b"x"}, "climbs out"),
        ({"/a/1.png": b"x"}, "climbs out"),
        ({"a/1.png": b"\0" * 10**7}, "100 times its size"),
        ({"a/notes.txt": b"x"}, "holds no image"),
        ({}, "holds no image"),
    ],
)
def test_an_archive_that_is_not_safe_or_empty_is_refused(
    client: TestClient, entries: dict[str, bytes], why: str
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    message = refused(client.post("/v1/galleries/shop/import", content=buffer.getvalue()), 422, "bad_archive")
    assert why in message and "/.kshot/" not in message and ".scratch" not in message
    refused(client.post("/v1/galleries/shop/import", content=buffer.getvalue()[:-10]), 422, "bad_archive")
    assert not list(service_of(client).store.folder.glob(".scratch-*"))


def test_a_body_that_is_cut_off_changes_nothing(client: TestClient) -> None:
    """The client sends half of its body and goes away."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"PK\x03\x04", "more_body": True}]
    sent = asyncio.run(_asked(client, "/v1/galleries/shop/import", messages, {"type": "http.disconnect"}))
    assert sent == [] or sent[0]["status"] >= 400
    assert not list(service_of(client).store.folder.glob(".scratch-*"))


def test_a_client_that_stops_sending_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_S", 0.05)
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]
    sent = asyncio.run(_asked(client, "/v1/galleries/shop/recognise", messages, None))
    assert sent[0]["status"] == 408 and b"body_too_slow" in sent[1]["body"]


def test_a_client_that_never_reads_is_cut_off(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SEND_S", 0.05)
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
    sent = asyncio.run(asyncio.wait_for(_asked(client, "/v1/galleries", messages, None, reads=False), 10))
    assert sent == []


async def _asked(
    client: TestClient, path: str, messages: list[dict[str, Any]], last: dict[str, Any] | None, reads: bool = True
) -> list[dict[str, Any]]:
    """Run the application on these messages; without a `last` one it waits for ever."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        if last is None:
            await asyncio.Event().wait()
        assert last is not None
        return last

    async def send(message: dict[str, Any]) -> None:
        if not reads:
            await asyncio.Event().wait()
        sent.append(message)

    post = path != "/v1/galleries"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if post else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", AT.removeprefix("http://").encode()), (b"content-type", b"application/json")],
        "client": LOOPBACK,
        "server": ("127.0.0.1", 8000),
        "app": client.app,
    }
    with contextlib.suppress(TimeoutError):
        await client.app(scope, receive, send)  # type: ignore[arg-type]
    return sent


def test_a_full_disk_is_told_and_changes_nothing(
    client: TestClient, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    images = next(iter(classes.values()))
    with monkeypatch.context() as patched:
        patched.setattr(type(service_of(client).store.images), "put", full)
        answer = client.post("/v1/galleries/shop/examples", data={"class": "x"}, files=files(images[1:2]))
        assert "disk is full" in refused(answer, 503, "disk_full")
    with monkeypatch.context() as patched:
        patched.setattr(examples, "_insert", full)
        answer = client.post("/v1/galleries/shop/examples", data={"class": "x"}, files=files(images[1:2]))
        assert "disk is full" in refused(answer, 503, "disk_full")


def test_a_full_disk_is_told_for_an_export_and_an_import_too(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both need room for a file of their own, before the store is asked."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    told = refused(client.get("/v1/galleries/shop/export"), 503, "disk_full")
    assert "disk is full" in told
    answer = client.post("/v1/galleries/shop/import", content=b"PK", headers={"content-type": "application/zip"})
    assert "disk is full" in refused(answer, 503, "disk_full") and answer.headers["retry-after"] == "60"


def test_a_database_that_cannot_grow_any_more_is_told_and_changes_nothing(client: TestClient) -> None:
    """SQLite itself finds no room, in the middle of a change."""
    engine = service_of(client).store.database.engine

    def bounded(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size for it

    drawn = [encoded(Image.new("L", (28, 28), shade), "PNG") for shade in range(60)]
    event.listen(engine, "checkout", bounded)
    try:
        answer = client.post("/v1/galleries/shop/examples", data={"class": "x" * 200}, files=files(drawn))
        assert "disk is full" in refused(answer, 503, "disk_full")
    finally:
        event.remove(engine, "checkout", bounded)
        engine.dispose()
    assert not {sha256_of(one) for one in drawn} & set(service_of(client).store.images.all())


def test_while_the_database_does_not_answer_images_are_recognised_and_nothing_is_taught(
    client: TestClient, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name, images), *_ = classes.items()
    assert ask(client, "shop", images[:1]).status_code == 200
    database, engine = service_of(client).store.database, service_of(client).store.database.engine
    with monkeypatch.context() as patched:
        from sqlalchemy.exc import OperationalError

        def gone(*_: object, **__: object) -> None:
            raise OperationalError("select", {}, Exception("connection refused"))

        patched.setattr(engine, "connect", gone)
        patched.setattr(engine, "raw_connection", gone)
        database._idle.clear()
        found = ask(client, "shop", images[:1])
        assert found.status_code == 200 and found.json()["results"][0]["label"] == name
        answer = client.post("/v1/galleries/shop/examples", data={"class": name}, files=files(images[1:2]))
        assert "connection refused" in refused(answer, 503, "store_unreachable")
        ready = client.get("/v2/health/ready").json()
        assert ready["state"] == "degraded" and "database does not answer" in ready["notes"][0]
    assert client.get("/v2/health/ready").json()["state"] == "ready" and database.is_sqlite


def test_an_error_of_the_service_itself_has_the_same_shape_and_says_nothing_of_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("kshot.serve.store.galleries.class_counts", broken)
    answer = client.get("/v1/galleries")
    message = refused(answer, 500, "internal")
    assert "secret" not in answer.text and answer.headers["X-Request-Id"] in message
    monkeypatch.undo()
