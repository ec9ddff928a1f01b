"""The story on PostgreSQL, a bucket and servers with logins, and tests that only these allow."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg2
import pytest

from tests.flows.project import environment, kshot
from tests.lifecycle.registry.racing_projects import race
from tests.services import postgres, story
from tests.services.facts import Facts, one_line
from tests.services.servers import BUCKET, KEYS, Services, services
from tests.services.story import Told

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian: apt-get install postgresql)")
    with services(tmp_path_factory.mktemp("servers")) as found:
        yield found


@pytest.fixture(scope="session")
def told(running: Services, tmp_path_factory: pytest.TempPathFactory) -> Told:
    project = story.make(tmp_path_factory.mktemp("on-servers") / "project", running.bucket)
    return story.tell(project, running.environment)


class TestOnServers(Facts): ...


def test_the_records_are_in_postgresql_and_the_files_in_the_bucket(told: Told, running: Services) -> None:
    counts = {}
    for name, table in (("mlflow", "model_versions"), ("mlflow", "runs"), ("prefect", "flow_run"), ("auth", "users")):
        connection = psycopg2.connect(f"postgresql://{running.database}{name}")
        with connection, connection.cursor() as cursor:
            cursor.execute(f"select count(*) from {table}")
            counts[table] = cursor.fetchone()[0]
        connection.close()
    assert counts["model_versions"] == 2 and counts["runs"] >= 3 and counts["flow_run"] >= 3 and counts["users"] == 2
    assert any(key.endswith("embedding.safetensors") for key in _keys(running, "mlflow/"))
    assert not (told.root / "mlruns/mlflow.db").exists()
    assert not (told.root / ".kshot/prefect/prefect.db").exists()


def test_the_doctor_finds_the_data_that_was_not_pushed_and_pushes_it(told: Told, running: Services) -> None:
    assert told.steps["doctor"].code == 13
    assert "not in s3://kshot/dvc" in one_line(told.steps["doctor"].out)
    assert _keys(running, "dvc/") == []
    ended = told.do("push", "doctor", "--mend")
    assert ended.code == 0 and "mended: " in ended.out
    listings = [key for key in _keys(running, "dvc/") if key.endswith(".dir")]
    assert len(listings) == 3 and len(_keys(running, "dvc/")) > 144


def test_two_folders_that_share_nothing_but_the_server_register_each_lineage_once(
    running: Services, tmp_path: Path
) -> None:
    rounds = int(os.environ.get("KSHOT_RACES", "8"))  # 50 by hand
    names = {**running.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = race(tmp_path, rounds, {**environment(), **names}, project="race")
    assert [sorted(pair) for pair in found] == [
        [(str(number), False), (str(number), True)] for number in range(1, rounds + 1)
    ]


def test_without_the_login_one_line_says_so(told: Told, running: Services) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{running.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=1", timeout=30)
    ended = kshot(told.root, "models", names={**told.names, "MLFLOW_TRACKING_PASSWORD": "forgotten"})
    assert ended.code == 7 and ended.err.count("\n") == 1 and "401" in ended.err and running.mlflow in ended.err


def test_the_runs_of_both_servers_link_to_each_other(told: Told, running: Services) -> None:
    wanted = {"artifacts": {"key": {"any_": ["mlflow-run"]}}}
    request = urllib.request.Request(
        f"{running.prefect}/artifacts/filter", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        artifacts = json.load(answer)
    assert len(artifacts) == 3 and all(f"{running.mlflow}/#/experiments/1/runs/" in one["data"] for one in artifacts)
    connection = psycopg2.connect(f"postgresql://{running.database}mlflow")
    with connection, connection.cursor() as cursor:
        cursor.execute("select run_uuid, value from tags where key = 'kshot.prefect_url'")
        found = dict(cursor.fetchall())
    connection.close()
    pages = running.prefect.removesuffix("/api")
    for one in artifacts:
        (run,) = [run for run in found if run in one["data"]]
        assert found[run] == f"{pages}/runs/flow-run/{one['flow_run_id']}"
        browser = urllib.request.Request(found[run], headers={"Accept": "text/html"})  # others get no page below /
        with urllib.request.urlopen(browser, timeout=30) as page:
            assert page.status == 200


def _keys(running: Services, below: str) -> list[str]:
    client = boto3.client(
        "s3", endpoint_url=running.bucket, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x"
    )
    return [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix=below).get("Contents", [])]
