"""Prefect's servers accept only their own pages and clients with the token, and end with their starter."""

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kshot import full_disk
from kshot.errors import KshotError
from kshot.flows import server
from kshot.lifecycle.project import no_telemetry, processes
from kshot.lifecycle.servers import server_token
from tests import prefect_database

STARTER = """
import sys, time
from pathlib import Path
from kshot.flows import server
started = server.launch(Path(sys.argv[1]))
started.wait()
print(started.process.pid, started.port, flush=True)
time.sleep(600)
"""
# What was proved on an open server: the steps before a run are commands, and a run of the deployment follows.
COMMAND = [{"prefect.deployments.steps.run_shell_script": {"script": "touch attacked"}}]


def request(port: int, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
    """Status and text of one request, with these headers and no others but the content's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **given})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def basic(token: str) -> str:
    return "Basic " + base64.b64encode(token.encode()).decode()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[server.Server, str]]:
    """A server such as `kshot schedule` starts, and its token."""
    home = tmp_path_factory.mktemp("home")
    prefect_database.put(tmp_path_factory, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        started = server.start_lasting(home, server.free_port(4400))
        try:
            started.wait()
            yield started, server_token.token(home)
        finally:
            processes.end(started.process, grace_s=5.0)


HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8888"},
    {"Host": "evil.example:4400"},
    {"Host": "evil.example:4400", "Origin": "http://evil.example:4400"},  # a name that was bound anew to 127.0.0.1
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_a_foreign_page_reads_nothing_and_changes_nothing(
    lasting: tuple[server.Server, str], foreign: dict[str, str]
) -> None:
    port, known = lasting[0].port, {"Authorization": basic(lasting[1])}
    for more in ({}, known):
        for method, path in (
            ("OPTIONS", "/api/deployments/"),
            ("GET", "/"),
            ("GET", "/ui-settings"),
            ("GET", "/api/health"),
            ("POST", "/api/deployments/filter"),
            ("POST", "/api/flows/"),
            ("PATCH", "/api/deployments/00000000-0000-0000-0000-000000000000"),
        ):
            body = {"pull_steps": COMMAND} if method == "PATCH" else {"name": "attacked"}
            assert request(port, method, path, body, **foreign, **more)[0] == 403, (method, path)
        key = {"Sec_WebSocket_Key": base64.b64encode(b"0" * 16).decode(), "Sec_WebSocket_Protocol": "prefect"}
        assert request(port, "GET", "/api/events/in", None, **HANDSHAKE, **key, **foreign, **more)[0] == 403
    assert "attacked" not in request(port, "POST", "/api/flows/filter", {}, **known)[1]


def test_without_the_token_nobody_is_served(lasting: tuple[server.Server, str]) -> None:
    port = lasting[0].port
    for headers in ({}, {"Authorization": basic("kshot:guess")}, {"Cookie": f"prefect-password={lasting[1]}"}):
        assert request(port, "POST", "/api/flows/filter", {}, **headers)[0] == 401
        assert request(port, "GET", "/api/admin/settings", None, **headers)[0] == 401
        assert request(port, "PATCH", "/api/deployments/x", {"pull_steps": COMMAND}, **headers)[0] == 401


def test_it_listens_on_this_machine_alone(lasting: tuple[server.Server, str]) -> None:
    process = psutil.Process(lasting[0].process.pid)
    listening = {one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_the_own_page_and_a_program_with_the_token_are_served(lasting: tuple[server.Server, str]) -> None:
    port, own = lasting[0].port, f"http://127.0.0.1:{lasting[0].port}"
    known = {"Authorization": basic(lasting[1])}
    assert request(port, "POST", "/api/flows/filter", {}, Origin=own, **known) == (200, "[]")
    settings = json.loads(request(port, "GET", "/ui-settings")[1])
    assert settings["api_url"] == f"{own}/api" and settings["auth"] == "BASIC"
    assert "<html" in request(port, "GET", "/")[1].lower()
    code = """
import asyncio
from prefect import get_client
from prefect.events import emit_event
from prefect.events.clients import get_events_client
async def main():
    async with get_client() as client:
        print(await client.read_flows())
    async with get_events_client(checkpoint_every=1) as events:
        print(type(events).__name__)
asyncio.run(main())
"""
    names = {**os.environ, "PREFECT_API_URL": lasting[0].api, server_token.CLIENT: lasting[1]}
    ended = subprocess.run([sys.executable, "-c", code], env=names, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["[]", "PrefectEventsClient"] and "rror" not in ended.stderr


def test_prefects_pages_look_for_the_password_where_the_sign_in_puts_it() -> None:
    import prefect

    for pages in (prefect.__ui_static_path__, prefect.__ui_v2_static_path__):
        scripts = [path.read_text(encoding="utf-8") for path in (pages / "assets").glob("*.js")]
        assert any(re.search(r"localStorage[^;]*prefect-password|`prefect-password`", text) for text in scripts)


def test_the_token_stands_in_no_command_line_and_no_log(lasting: tuple[server.Server, str]) -> None:
    started, token = lasting
    assert token not in " ".join(psutil.Process(started.process.pid).cmdline())
    assert token not in started.log.read_text()


def test_a_service_manager_that_stops_all_at_once_leaves_the_server_to_its_parent(
    lasting: tuple[server.Server, str],
) -> None:
    """A retraining whose server had ended with it could not report that it was stopped, and tried for minutes."""
    lasting[0].process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        lasting[0].process.wait(1)
    assert server.responds(lasting[0].api)


def test_a_server_that_finds_no_room_on_the_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's log has the reason, or is empty because there was no room for it either."""
    log = tmp_path / "temporary-server.log"
    with subprocess.Popen(["false"]) as ended:
        ended.wait()
    started = server.Server(ended, 4400, log)
    log.write_text("sqlite3.OperationalError: database or disk is full\n")
    with pytest.raises(KshotError, match=f"^the disk is full at {tmp_path}; free some space"):
        started.wait()
    log.write_text("")
    with pytest.raises(KshotError, match="server did not start"):
        started.wait()
    monkeypatch.setattr(full_disk, "no_room", lambda folder: folder == tmp_path)
    with pytest.raises(KshotError, match="^the disk is full"):
        started.wait()


def test_the_server_of_a_killed_process_ends_and_was_closed_too(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefect_database.put(tmp_path_factory, tmp_path / no_telemetry.PREFECT_HOME)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        process, port = (int(word) for word in starter.stdout.readline().split())
        known = {"Authorization": basic(server_token.token(tmp_path / ".kshot/prefect"))}
        assert request(port, "POST", "/api/flows/filter", {})[0] == 401
        assert request(port, "POST", "/api/flows/filter", {}, **known, Origin="http://evil.example")[0] == 403
        assert request(port, "POST", "/api/flows/filter", {}, **known)[0] == 200
        starter.send_signal(signal.SIGKILL)
    psutil.Process(process).wait(timeout=120) if psutil.pid_exists(process) else None


def test_a_copied_project_neither_uses_nor_ends_the_originals_server(
    lasting: tuple[server.Server, str], tmp_path: Path
) -> None:
    started, _ = lasting
    (tmp_path / server.NOTE).write_bytes((started.log.parent / server.NOTE).read_bytes())
    assert server.running(started.log.parent) == started.api
    assert server.running(tmp_path) is None
    server.end_left_behind(tmp_path)
    assert not (tmp_path / server.NOTE).exists()
    assert started.process.poll() is None and server.responds(started.api)
