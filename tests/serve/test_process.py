"""`kshot serve` as a process of its own."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import torch

import kshot.cli
from kshot.errors import KshotError
from kshot.serve import process as serve_process
from kshot.serve.ray_serve import Replica
from kshot.serve.service import open_service
from kshot.serve.settings import ServeSettings
from tests.serve.running import files

STARTED = re.compile(r"serving (\S+) version (\d+) \(champion\) at (\S+), process (\d+)")


@contextmanager
def served(project: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    command = [sys.executable, "-m", "kshot.cli", "serve", "--port", "0", "--device", "cpu", *options]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        found = STARTED.match(line)
        assert found, line + process.stderr.read()
        yield process, found[3]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_process_serves_and_finishes_what_is_under_way_when_it_is_told_to_stop(
    project: Path, classes: dict[str, list[bytes]]
) -> None:
    (name, images), *_ = classes.items()
    with served(project) as (process, at), httpx.Client(base_url=at, timeout=30, trust_env=False) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        taught = client.post("/v1/galleries/shop/examples", data={"class": name}, files=files(images[:1]))
        assert taught.status_code == 201
        host, port = at.removeprefix("http://").split(":")
        request = client.build_request("POST", "/v1/galleries/shop/recognise", files=files(images[1:3]))
        body = request.read()
        head = f"POST /v1/galleries/shop/recognise HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        head += f"Content-Type: {request.headers['content-type']}\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=30) as half:
            half.sendall(head.encode() + body[:100])
            client.get("/v2/health/live")  # the service has the first half now
            os.kill(process.pid, signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                while True:  # until it takes no more connections
                    httpx.get(f"{at}/v2/health/live", trust_env=False)
            half.sendall(body[100:])
            answer = b""
            while part := half.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200") and b'"label"' in answer
        assert process.wait(30) == 0
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
        assert len(lines) >= 4 and all('"event": "request"' in line for line in lines), lines


def test_a_stopped_service_ends_without_the_interpreters_own_clean_up(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.chdir(project)
    monkeypatch.setattr(serve_process, "serve", lambda *_: None)
    monkeypatch.setattr("os._exit", ended.append)
    kshot.cli.main(["serve"])
    assert ended == [0]


def test_a_taken_port_and_a_missing_champion_are_told_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert kshot.cli.main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    assert "give another --port" in capsys.readouterr().err
    from kshot.lifecycle.tracking import store

    store.connect(project)
    store.client().delete_registered_model_alias("kshot", "champion")
    assert kshot.cli.main(["serve", "--port", "0"]) == 7
    assert "no version is champion, so there is nothing to serve; `kshot retrain` makes" in capsys.readouterr().err


def test_keys_are_made_listed_and_revoked(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert kshot.cli.main(["serve", "key", "list"]) == 0
    assert "no key yet" in capsys.readouterr().out
    assert kshot.cli.main(["serve", "key", "add", "phone", "--scope", "teach"]) == 0
    key = capsys.readouterr().out.strip()
    assert key.startswith("kshot_") and len(key) > 40
    assert kshot.cli.main(["serve", "key", "revoke", "phone"]) == 0
    assert kshot.cli.main(["serve", "key", "revoke", "phone"]) == 1
    assert kshot.cli.main(["serve", "key", "list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"phone +teach +\S+T\S+ +\S+T", out) and key not in out


def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr("kshot.serve.process.MODULES", ("no_such_module",))
    assert kshot.cli.main(["serve"]) == 1
    assert "pip install 'kshot[pipeline,serve]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("KSHOT_SERVE_PROT", "1", "is no setting of the service"),
        ("KSHOT_SERVE_PORT", "x", "needs a number"),
        ("KSHOT_SERVE_REQUIRE_KEY", "yes", "needs true or false"),
        ("KSHOT_SERVE_LOG", "some", "needs off, all, unknown or sample"),
        ("KSHOT_SERVE_BODY_BYTES", "0", "needs at least 1"),
    ],
)
def test_a_wrong_variable_is_told_in_one_line(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    why: str,
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv(variable, value)
    assert kshot.cli.main(["serve"]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--replicas", "2"), "--replicas needs --engine ray"), (("--engine", "ray"), "RAY_ADDRESS names no cluster")],
)
def test_replicas_need_a_cluster(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert kshot.cli.main(["serve", *options]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_a_connection_whose_client_never_reads_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_process, "UNREAD_MS", 500)
    with serve_process.listening("127.0.0.1", 0) as at, socket.create_connection(at.getsockname()):
        accepted, _ = at.accept()
        accepted.settimeout(30)
        with accepted, pytest.raises(TimeoutError) as ended:
            while True:
                accepted.sendall(b"x" * 2**20)
        assert ended.value.errno == errno.ETIMEDOUT, "the kernel's, not that of `settimeout`"


@pytest.mark.parametrize(
    "serve",
    [serve_process.serve, lambda root, settings: Replica(str(root), settings).__serve_build_asgi_app__()],
    ids=["process", "replica"],
)
def test_a_process_that_serves_keeps_freed_memory_for_the_next_forward_pass(
    serve: Callable[[Path, ServeSettings], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def no_service(root: Path, settings: ServeSettings) -> None:
        raise KshotError("no version is champion")

    monkeypatch.setattr("kshot.nets.memory.keep_freed_memory", kept.append)
    monkeypatch.setattr("kshot.serve.service.open_service", no_service)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KshotError, match="no version"):
        serve(tmp_path, ServeSettings(port=0))
    assert kept == [serve_process.FREED_BYTES]


def test_only_the_queue_computes_on_several_cores(project: Path) -> None:
    """Two threads with OpenMP's threads of their own on two cores: a forward pass took twice as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        service = open_service(project, ServeSettings(device="cpu"))
        try:
            assert (torch.get_num_threads(), service.queue.threads) == (1, 2)
        finally:
            service.close()
    finally:
        torch.set_num_threads(before)
