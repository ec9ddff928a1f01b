"""The Python client: what it sends, and one clear line for each way in which a service is not there or refuses."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot import Client
from kshot.errors import ServiceError
from tests.serve.recorded_service import SERVICE, STATE, Recorded, recorded


@pytest.fixture
def server() -> Iterator[Recorded]:
    with recorded() as server:
        yield server


def taught(number: int) -> tuple[int, bytes]:
    example = {"id": number, "class": "a/b", "sha256": "0", "name": "", "bytes": 1, "width": 1, "height": 1}
    examples = [example | {"taught": "2026-11-28T00:00:00Z"}]
    return 201, json.dumps({**STATE, "examples": examples, "already": [], "notes": ["one note"]}).encode()


def test_images_go_in_as_many_requests_as_the_limits_ask_for(server: Recorded, tmp_path: Path) -> None:
    server.responses["POST /v1/galleries/g%C3%A4rten/examples"] = taught(1)
    (tmp_path / "one.png").write_bytes(b"first")
    with Client(server.at) as client:
        found = client.teach("gärten", "a/b", [tmp_path / "one.png", b"second", b"third"])
    bodies = [body for method, *_, body in server.requests if method == "POST"]
    assert [body.count(b'name="images"') for body in bodies] == [2, 1]
    assert all(b'name="class"\r\n\r\na/b\r\n' in body for body in bodies)
    assert b'filename="one.png"' in bodies[0] and b"first" in bodies[0] and b"second" in bodies[0]
    assert (len(found.examples), found.notes, found.revision) == (2, ["one note"] * 2, 7)


def test_images_of_many_bytes_are_parted_too(server: Recorded) -> None:
    server.responses["POST /v1/galleries/g/examples"] = taught(1)
    with Client(server.at) as client:
        client.teach("g", "a", [b"x" * 800, b"y" * 800])
    assert len([1 for method, *_ in server.requests if method == "POST"]) == 2


def test_names_are_quoted_and_the_key_is_sent(server: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    server.responses["PATCH /v1/galleries/a%20b/classes/x%2Fy%3F"] = (200, json.dumps(STATE).encode())
    monkeypatch.setenv("KSHOT_KEY", "from the environment")
    with Client(server.at) as client:
        assert client.rename_class("a b", "x/y?", "z").revision == 7
    with Client(server.at, key="given") as client:
        client.rename_class("a b", "x/y?", "z", merge=True)
    (_, _, first, body), (_, _, second, merged) = server.requests
    assert (first["Authorization"], second["Authorization"]) == ("Bearer from the environment", "Bearer given")
    assert (json.loads(body), json.loads(merged)) == ({"name": "z"}, {"name": "z", "merge": True})


def test_every_page_of_examples_is_read(server: Recorded) -> None:
    path = "GET /v1/galleries/g/examples"
    first = json.loads(taught(4)[1]) | {"next": 4}
    server.responses[path] = (200, json.dumps(first).encode())
    with Client(server.at) as client:
        found = client.examples("g", "a/b")
        assert next(found).id == 4
        server.responses[path] = (200, json.dumps(json.loads(taught(9)[1]) | {"next": None}).encode())
        assert [one.id for one in found] == [9]
    assert [path.partition("?")[2] for _, path, *_ in server.requests] == [
        "limit=500&class=a%2Fb",
        "limit=500&class=a%2Fb&after=4",
    ]


def test_a_refusal_is_the_services_own_line(server: Recorded) -> None:
    problem = {"error": {"code": "unknown_gallery", "message": "there is no gallery 'g'"}, "request": "r1"}
    server.responses["GET /v1/galleries/g"] = (404, json.dumps(problem).encode())
    with Client(server.at) as client, pytest.raises(ServiceError, match="^there is no gallery 'g'$") as found:
        client.gallery("g")
    assert (found.value.status, found.value.code, found.value.request) == (404, "unknown_gallery", "r1")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": {}}'])
def test_another_server_is_named_as_none_of_ours(server: Recorded, content: bytes) -> None:
    server.responses["GET /v1/service"] = (502, content)
    with Client(server.at) as client, pytest.raises(ServiceError, match="status 502 and no reason; is it a gallery"):
        client.service()
    server.responses["GET /v1/service"] = (200, content)
    with Client(server.at) as client, pytest.raises(ServiceError, match="not as a gallery service of this kshot"):
        client.service()


def test_nobody_there_and_no_address_are_one_line_each(server: Recorded) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServiceError, match="nobody answers at .*: kshot serve"):
        client.service()
    for wrong in ("127.0.0.1:8000", "ftp://a", ""):
        with pytest.raises(ServiceError, match="is no address of a gallery service; needs one such as"):
            Client(wrong)


def test_without_its_extra_the_name_says_what_to_install() -> None:
    code = """
import sys
sys.modules["httpx"] = None
import kshot
try:
    kshot.Client
except kshot.KshotError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "kshot.Client needs httpx, which is not here: pip install 'kshot[serve]'\n"


def test_a_name_that_is_a_step_of_a_path_reaches_no_other_address(server: Recorded) -> None:
    with Client(server.at) as client:
        for name in ("..", ".", ""):
            for call in (client.gallery, client.delete, lambda name: client.delete_class("birds", name)):
                with pytest.raises(ServiceError, match="is no name of a gallery or a class"):
                    call(name)
    assert not server.requests


def test_values_that_the_service_would_refuse_are_one_line_each(server: Recorded, tmp_path: Path) -> None:
    with Client(server.at) as client:
        for call in (
            lambda: client.set_unknown_threshold("g", -1.0),
            lambda: client.label({1: "a"}, by=""),
            lambda: client.label({}, by="Ada"),
            lambda: client.recognise("g", []),
            lambda: client.teach("g", "a", []),
            lambda: client.verify("g", "a", [b"one", b"two"]),  # type: ignore[arg-type]
        ):
            with pytest.raises(ServiceError, match=r"^[^\n]+$"):
                call()
        with pytest.raises(TypeError, match="an image is a path or the bytes of an image file, not object"):
            client.recognise("g", object())  # type: ignore[arg-type]
    assert not server.requests


def test_a_key_from_a_file_has_no_line_break_and_no_foreign_sign(server: Recorded) -> None:
    server.responses["GET /v1/service"] = (200, json.dumps(SERVICE).encode())
    with Client(server.at, key="given\n") as client:
        client.service()
    assert server.requests[0][2]["Authorization"] == "Bearer given"
    with pytest.raises(ServiceError, match="the key has signs that no key has"):
        Client(server.at, key="ключ")


def test_an_import_is_sent_from_the_disk_and_awaited_longer_than_other_calls(server: Recorded, tmp_path: Path) -> None:
    response = {**STATE, "taken": 1, "already": 0, "left_out": [], "notes": []}
    server.responses["POST /v1/galleries/g/import"] = (200, json.dumps(response).encode())
    (tmp_path / "birds.zip").write_bytes(b"PK" * 100)
    server.seconds = 0.5
    with Client(server.at, timeout=0.1) as client:
        assert client.import_zip("g", tmp_path / "birds.zip").taken == 1
        with pytest.raises(ServiceError, match="does not answer in time"):
            client.service()
    (_, _, headers, body), *_ = server.requests
    assert (headers["Content-Length"], body) == ("200", b"PK" * 100)
