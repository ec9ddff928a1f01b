"""`kshot ui` on a real project: both pages are served only to those who sign in at the printed addresses, and Ctrl-C
ends them."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from kshot.cli import ui
from kshot.flows import links, server
from kshot.lifecycle.servers import server_token
from tests.flows import project
from tests.flows.served import PATIENCE_S
from tests.flows.test_server import basic, request
from tests.lifecycle import raw_project


def test_runs_link_to_the_ports_that_it_takes_first() -> None:
    assert f"http://127.0.0.1:{ui.MLFLOW_PORT}" == links.PAGES
    assert f"http://127.0.0.1:{ui.PREFECT_PORT}" == server.PAGES


SEARCH = "/ajax-api/2.0/mlflow/experiments/search"


def test_both_pages_answer_who_signed_in_until_ctrl_c(tmp_path: Path) -> None:
    root = raw_project.make(tmp_path / "root")
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kshot.cli", "ui", "--mlflow-port", "5600", "--prefect-port", "4600"],
            cwd=root,
            env=project.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "Ctrl-C ends both" not in said.read_text():
            assert process.poll() is None and time.monotonic() < deadline, said.read_text()
            time.sleep(0.5)
        token = server_token.token(root / ".kshot/prefect")
        addresses = re.findall(r"^  http://127\.0\.0\.1:(\d+)/kshot-sign-in#(.+)$", said.read_text(), re.MULTILINE)
        assert [secret for _, secret in addresses] == [token, token]
        mlflow, prefect = (int(port) for port, _ in addresses)
        for port in (mlflow, prefect):
            status, page = request(port, "GET", "/kshot-sign-in")
            assert status == 200 and "<html" in page and token not in page
            assert request(port, "GET", "/", Authorization=basic(token))[0] == 200
            for foreign in (
                {"Origin": "http://evil.example"},
                {"Host": "evil.example"},
                {"Host": "192.168.evil.example"},
            ):
                assert request(port, "GET", "/", Authorization=basic(token), **foreign)[0] == 403
        query = {"max_results": 10}
        assert request(mlflow, "GET", "/")[0] == request(mlflow, "POST", SEARCH, query)[0] == 401
        assert request(mlflow, "POST", SEARCH, query, Authorization=basic(token))[0] == 200
        assert request(mlflow, "POST", SEARCH, query, Authorization=basic(token), Origin="http://127.0.0.1:1")[0] == 403
        assert request(prefect, "POST", "/api/flows/filter", {})[0] == 401
        assert token not in (root / ".kshot/ui.log").read_text()
        assert "name ports 5000 and 4200" in said.read_text()  # it was asked for others
        servers = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # a kill would leave its servers
            process.wait(60)
    assert len(servers) == 2 and not any(one.is_running() for one in servers)


def test_a_port_that_is_taken_is_passed_over() -> None:
    taken = ui.free_port(5700)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", taken))
        listening.listen()
        assert ui.free_port(taken) > taken
