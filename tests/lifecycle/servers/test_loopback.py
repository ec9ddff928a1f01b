"""Loopback is exempt from proxies, a person's exemptions stay, and flows run behind a proxy that is down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.project import no_telemetry
from kshot.lifecycle.servers.loopback import ADDRESSES, EXCEPT, PROXIES, reach_directly
from tests import prefect_database

OURS = ",".join(ADDRESSES)
BOTH = (EXCEPT, EXCEPT.upper())


@pytest.fixture(autouse=True)
def no_proxy_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, EXCEPT):
        for one in (name, name.upper()):
            monkeypatch.setenv(one, "put back afterwards")
            monkeypatch.delenv(one)


def test_without_a_proxy_nothing_is_set() -> None:
    reach_directly()
    assert not set(BOTH) & set(os.environ)


@pytest.mark.parametrize("proxy", ["http_proxy", "HTTPS_PROXY", "all_proxy"])
def test_with_a_proxy_this_machine_is_excepted_in_both_spellings(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(proxy, "http://proxy.example:3128")
    reach_directly()
    assert [os.environ[name] for name in BOTH] == [OURS, OURS]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"no_proxy": ".example.org, localhost"}, [".example.org,localhost,127.0.0.1,::1"] * 2),
        ({"NO_PROXY": "a"}, [f"a,{OURS}"] * 2),
        ({"no_proxy": "a", "NO_PROXY": "b"}, [f"a,{OURS}", f"b,{OURS}"]),
        ({"no_proxy": "*"}, ["*", "*"]),
    ],
)
def test_what_a_person_excepts_stays(before: dict[str, str], after: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**before, "http_proxy": "http://proxy.example:3128"}.items():
        monkeypatch.setenv(name, value)
    reach_directly()
    assert [os.environ[name] for name in BOTH] == after
    reach_directly()
    assert [os.environ[name] for name in BOTH] == after


def test_the_command_line_sets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["models"]) != 0  # in no project
    assert os.environ["no_proxy"] == OURS


FLOW = """
import sys
from pathlib import Path
from kshot.lifecycle.servers import loopback; from kshot.lifecycle.project import no_telemetry as quiet
quiet.silence_telemetry()
loopback.reach_directly()
from kshot.flows import server
server.launch(Path(sys.argv[1])).wait()
from prefect import flow, task
from prefect.events import emit_event

@task
def seven():
    return 7

@flow
def counted():
    emit_event("kshot.tried", resource={"prefect.resource.id": "kshot.test"})
    return seven()

print(counted())
"""


def test_a_flow_runs_on_the_temporary_server_behind_a_proxy_that_is_dead(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    prefect_database.put(tmp_path_factory, tmp_path / no_telemetry.PREFECT_HOME)
    dead = {name: "http://127.0.0.1:9" for proxy in PROXIES for name in (proxy, proxy.upper())}
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ended = subprocess.run(
        [sys.executable, "-c", FLOW, str(tmp_path)],
        env={**own, **dead},
        capture_output=True,
        text=True,
        timeout=float(os.environ.get("KSHOT_TEST_PATIENCE_S", "400")),
        check=False,
    )
    assert ended.returncode == 0 and ended.stdout.strip().endswith("7"), ended.stderr
    assert "Error" not in ended.stderr, ended.stderr
