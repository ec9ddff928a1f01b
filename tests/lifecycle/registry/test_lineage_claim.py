import dataclasses
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from kshot.errors import RegistryError
from kshot.lifecycle.registry import lineage_claim
from kshot.lifecycle.registry.lineage_claim import CLAIM, Claim
from kshot.lifecycle.tracking import store
from tests.lifecycle.registry.racing_projects import race

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    root = tmp_path_factory.mktemp("claims")
    (root / "params.yaml").write_text("project: shop\n")
    store.connect(root)
    return store.client()


@pytest.fixture
def run_id(client: MlflowClient) -> str:
    return str(client.create_run("0").info.run_id)


def write(client: MlflowClient, run_id: str, number: int = 1, **other: object) -> Claim:
    """Another process's claim: by default of another machine, made now."""
    now = datetime.now(UTC).isoformat()
    claim = dataclasses.replace(Claim(KEY, number, "another", 1, now, "mark"), **other)  # type: ignore[arg-type]
    content = dataclasses.asdict(claim)
    del content["version"]
    client.log_param(run_id, CLAIM.format(KEY, number), json.dumps(content))
    return claim


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_the_first_claim_of_a_lineage_is_number_one_and_names_the_process(client: MlflowClient, run_id: str) -> None:
    claim = lineage_claim.take(client, run_id, KEY, lambda: False)
    assert claim is not None
    assert (claim.number, claim.host, claim.process) == (1, socket.gethostname(), os.getpid())


def test_nothing_is_claimed_for_a_lineage_that_is_registered(client: MlflowClient, run_id: str) -> None:
    assert lineage_claim.take(client, run_id, KEY, lambda: True) is None
    assert client.get_run(run_id).data.params == {}


def test_a_claim_that_may_go_on_is_waited_for_until_its_version_is_there(client: MlflowClient, run_id: str) -> None:
    write(client, run_id)
    looks = iter([False, False, False, True])
    assert lineage_claim.take(client, run_id, KEY, lambda: next(looks)) is None
    assert list(client.get_run(run_id).data.params) == [CLAIM.format(KEY, 1)]


@pytest.mark.parametrize("gone", ["a dead process", "an old claim", "a pruned version"])
def test_a_claim_that_cannot_go_on_is_followed_by_the_next_number(client: MlflowClient, run_id: str, gone: str) -> None:
    if gone == "a dead process":
        write(client, run_id, host=socket.gethostname(), process=dead_process())
    elif gone == "an old claim":
        write(client, run_id, when=(datetime.now(UTC) - timedelta(minutes=3)).isoformat())
    else:
        lineage_claim.finish(client, run_id, write(client, run_id), "7")
    claim = lineage_claim.take(client, run_id, KEY, lambda: False)
    assert claim is not None and claim.number == 2


def test_the_database_refuses_a_second_claim_of_one_number(client: MlflowClient, run_id: str) -> None:
    mine = lineage_claim.take(client, run_id, KEY, lambda: False)
    assert mine is not None
    assert not lineage_claim._write(client, run_id, dataclasses.replace(mine, mark="another"))
    assert lineage_claim._write(client, run_id, mine), "the same claim again, as after a lost answer"


def test_a_changed_claim_is_named(client: MlflowClient, run_id: str) -> None:
    client.log_param(run_id, CLAIM.format(KEY, 1), "{}")
    with pytest.raises(RegistryError, match=f"lineage.{KEY}.001 of the history"):
        lineage_claim.take(client, run_id, KEY, lambda: False)


def test_two_folders_on_one_new_store_register_a_lineage_once(tmp_path: Path) -> None:
    names = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/shared.db", "PYTHONPATH": str(Path(__file__).parents[3])}
    for number, found in enumerate(race(tmp_path, 2, {**os.environ, **names}), 1):
        assert sorted(found) == [(str(number), False), (str(number), True)]
