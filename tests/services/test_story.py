"""The story of docs/operations.md, told on the embedded default and on real servers, and looked at many times."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg2
import pytest

from tests.flows.project import kshot
from tests.services import postgres, story
from tests.services.servers import BUCKET, KEYS, Services, services
from tests.services.story import Told

pytestmark = pytest.mark.services
KINDS = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("embedded", "services")]
ON_SERVERS = pytest.mark.parametrize("told", KINDS[1:], indirect=True)
EMBEDDED = pytest.mark.parametrize("told", KINDS[:1], indirect=True)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian: apt-get install postgresql)")
    with services(tmp_path_factory.mktemp("servers")) as found:
        yield found


@pytest.fixture(scope="session", params=KINDS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "services":
        servers: Services = request.getfixturevalue("running")
        return _written(story.tell(story.make(folder / "project", servers.bucket), servers.environment))
    return _written(story.tell(story.make(folder / "project"), {}))


def _written(told: Told) -> Told:
    """Beside the project, for who wants to read what was printed."""
    (told.root.parent / "story.txt").write_text("\n".join([*told.lines, "", told.scheduler]))
    return told


def test_every_command_did_what_it_was_asked(told: Told) -> None:
    asked = {name: (step.code, step.err) for name, step in told.steps.items() if name != "doctor"}
    assert asked == dict.fromkeys(asked, (0, ""))


def test_each_data_version_started_its_retraining_by_itself(told: Told) -> None:
    ends = re.findall(r"retraining \S+: (completed|failed)", told.scheduler)
    assert ends == ["completed", "completed", "failed"]
    assert told.scheduler.count(" is new: ") == 3


def test_the_gate_waited_for_a_person_and_the_champion_served_on(told: Told) -> None:
    _, first, second = told.steps["models second"].out.splitlines()
    assert first.split()[:2] == ["1", "champion"]
    assert second.split()[:2] == ["2", "challenger"] and "waiting for approval until" in second
    assert told.steps["approve first"].out == "version 1 is champion now; kept as event 2\n"
    assert told.steps["approve second"].out == "version 2 is champion now instead of version 1; kept as event 4\n"


def test_the_broken_version_was_stopped_told_and_changed_nothing(told: Told) -> None:
    (news,) = told.heard
    assert news["title"] == "kshot: a retraining failed"
    assert "class 'group1/class03' has 1 images" in news["reason"]
    rows = told.steps["models broken"].out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["1", "2"] and rows[1].split()[1] == "champion"


def test_the_rollback_is_an_event_with_its_reason(told: Told) -> None:
    assert told.steps["rollback"].out == "version 1 is champion now instead of version 2; kept as event 5\n"
    assert "false accepts on the shop floor" in told.steps["history"].out
    assert "all 5 events are as they were written" in told.steps["history"].out


def test_the_audit_of_the_champion_holds(told: Told) -> None:
    assert "version 1: all 11 links hold" in told.steps["audit"].out


@EMBEDDED
def test_nothing_must_be_mended_afterwards_and_a_move_can_be(told: Told, tmp_path: Path) -> None:
    assert told.steps["doctor"].code == 0
    story.move(told, told.root.with_name("elsewhere"))
    assert told.steps["moved"].code == 11 and "kshot doctor --mend" in told.steps["moved"].out
    assert told.steps["mended"].code == 0 and "are now below" in told.steps["mended"].out
    assert "all 11 links hold" in told.steps["audit after move"].out


@ON_SERVERS
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


@ON_SERVERS
def test_the_doctor_finds_the_data_that_was_not_pushed_and_pushes_it(told: Told, running: Services) -> None:
    assert told.steps["doctor"].code == 11
    assert "are not in s3://kshot/dvc" in told.steps["doctor"].out and "1 must be mended" in told.steps["doctor"].out
    assert _keys(running, "dvc/") == []
    ended = told.do("push", "doctor", "--mend")
    assert ended.code == 0 and "mended: " in ended.out
    listings = [key for key in _keys(running, "dvc/") if key.endswith(".dir")]
    assert len(listings) == 3 and len(_keys(running, "dvc/")) > 144


@ON_SERVERS
def test_without_the_login_one_line_says_so(told: Told, running: Services) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{running.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=1", timeout=30)
    ended = kshot(told.root, "models", names={**told.names, "MLFLOW_TRACKING_PASSWORD": "forgotten"})
    assert ended.code == 7 and ended.err.count("\n") == 1 and "401" in ended.err and running.mlflow in ended.err


@ON_SERVERS
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
        with urllib.request.urlopen(found[run], timeout=30) as page:
            assert page.status == 200


def _keys(running: Services, below: str) -> list[str]:
    client = boto3.client(
        "s3", endpoint_url=running.bucket, aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x"
    )
    return [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET, Prefix=below).get("Contents", [])]
