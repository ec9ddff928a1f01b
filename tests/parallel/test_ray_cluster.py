"""The connection to a Ray cluster: refused with one line where there is none, and our own signal handler stays."""

import builtins
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from kshot.errors import ParamsError
from kshot.parallel import ray_cluster
from kshot.parallel.ray_nodes import Installed, installed_here, seen_here

LOCAL = """
import json, os, pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(43))
from kshot.errors import ParamsError
from kshot.parallel.ray_cluster import connected
from kshot.parallel.ray_nodes import require_alike
folder = pathlib.Path(sys.argv[1])
with connected() as ray:
    from ray._common.usage.usage_lib import usage_stats_enabled
    require_alike(ray, folder)
    lost_head = os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"]
    print(json.dumps({"usage": usage_stats_enabled(), "left": os.listdir(folder), "lost head": lost_head}), flush=True)
    signal.pause()
"""


def refused() -> str:
    with pytest.raises(ParamsError) as told, ray_cluster.connected():
        raise AssertionError("connected")
    assert len(str(told.value).splitlines()) == 1
    return str(told.value)


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_without_ray_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
        return found(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    assert refused().endswith("pip install 'kshot[ray]'")


def test_a_cluster_that_is_not_there_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot[ray]'")
    assert "RAY_ADDRESS names no cluster; set it to" in refused()
    for wrong in ("ray://10.0.0.1:10001", "10.0.0.1", ":6379", "10.0.0.1:port"):
        monkeypatch.setenv("RAY_ADDRESS", wrong)
        assert f"RAY_ADDRESS is {wrong!r}; needs HOST:PORT" in refused()
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        began = time.monotonic()
        assert f"no Ray cluster is at RAY_ADDRESS={address}" in refused()
    assert time.monotonic() - began < 60  # Ray itself needs two minutes, and then ends the process


@pytest.mark.services
def test_usage_statistics_are_off_and_sigterm_is_still_ours(tmp_path) -> None:
    """Also the check of the nodes: this one sees the folder and has this kshot, and no file is left there."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'kshot[ray]'")
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    names = {"RAY_ADDRESS": "local", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", LOCAL, str(tmp_path)]
    with subprocess.Popen(command, env={**bare, **names}, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert json.loads(started.stdout.readline()) == {"usage": False, "left": [], "lost head": "5"}
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 43


def test_a_node_answers_with_what_it_sees_and_has(tmp_path) -> None:
    (tmp_path / "token").write_text("abc")
    assert seen_here(str(tmp_path / "token")) == ("abc", installed_here())
    assert seen_here(str(tmp_path / "other")) == ("", installed_here())


@pytest.mark.parametrize(
    ("read", "other", "text"),
    [
        ("", installed_here(), "does not see /project/.kshot; every node needs the project's folder"),
        ("abc", Installed("0" * 12, installed_here().torch, installed_here().python), "another kshot: 000000000000"),
        ("abc", Installed(installed_here().kshot, "1.0", installed_here().python), "another torch: 1.0 instead of"),
    ],
)
def test_a_node_that_differs_is_named(read: str, other: Installed, text: str) -> None:
    from pathlib import Path
    from types import SimpleNamespace

    from kshot.parallel import ray_nodes

    known = SimpleNamespace(RayError=RuntimeError, TaskUnschedulableError=OSError, NodeDiedError=OSError)
    ray = SimpleNamespace(get=lambda _: (read, other), exceptions=known)
    with pytest.raises(ParamsError, match=text) as told:
        ray_nodes._is_alike(ray, None, "10.0.0.3", "abc", Path("/project/.kshot"), 0.0)  # type: ignore[arg-type]
    assert str(told.value).startswith("node 10.0.0.3 of the Ray cluster")
