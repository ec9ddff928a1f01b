"""`kshot ui` on a real project: both pages answer at the addresses that it prints, and Ctrl-C ends them."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from flows import links, server
from kshot.cli import ui
from tests.flows import project
from tests.flows.served import PATIENCE_S
from tests.lifecycle import raw_project


def test_runs_link_to_the_ports_that_it_takes_first() -> None:
    assert f"http://127.0.0.1:{ui.MLFLOW_PORT}" == links.PAGES
    assert f"http://127.0.0.1:{ui.PREFECT_PORT}" == server.PAGES


def test_both_pages_answer_until_ctrl_c(tmp_path: Path) -> None:
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
        addresses = re.findall(r"^(?:MLflow|Prefect) +(http://127\.0\.0\.1:\d+) ", said.read_text(), re.MULTILINE)
        assert len(addresses) == 2
        for address in addresses:
            with urllib.request.urlopen(address, timeout=60) as page:
                assert page.status == 200 and b"<html" in page.read().lower()
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
