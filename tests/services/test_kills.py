"""kill -9 at the n-th write of every verb that writes: repeating the command gives the same result as without it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.registry import gate_decision
from tests.lifecycle import registered_versions
from tests.lifecycle.raw_project import files_below
from tests.lifecycle.registered_versions import judgement
from tests.services import kill_projects

pytestmark = pytest.mark.services

REPOSITORY = Path(__file__).parents[2]
BEFORE = ["promoted", "promoted", "promoted", "waiting"]
STAND = {"champion": "3", "challenger": "4"}
# The verb, how many points, the event that it writes, and where the aliases stand afterwards.
VERBS = [
    ("decide", 3, "promoted", {"champion": "4"}),
    ("approve", 3, "approved", {"champion": "4"}),
    ("reject", 3, "rejected", {"champion": "3"}),
    ("promote", 3, "promoted by hand", {"champion": "1", "challenger": "4"}),
    ("rollback", 5, "rolled back", {"champion": "2", "challenger": "4"}),
]
# The verb, how many points, and what is to be seen after the same command again.
OTHERS: list[tuple[str, int, dict[str, Any]]] = [
    ("add", 4, {"versions": 2, "last": True, "left": []}),
    ("watch", 3, {"versions": 2, "last": True, "left": [], "images": {"a": 3, "b": 2, "c": 1}, "seen": [2]}),
    ("prune", 4, {"items": 0, "gone": [], "weights": ["weights 1", "weights 3"]}),
    ("mend", 5, {"found": 0, "schedule": False, "aside": ["planned runs of the original"]}),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of projects; in `registry` three champions, one after the other, and version 4 waits for approval."""
    folder = tmp_path_factory.mktemp("template")
    kill_projects.write(folder)
    root = registered_versions.write(folder / "registry")
    for version, champion in (("1", None), ("2", "1"), ("3", "2")):
        gate_decision.record_decision(root, version, judgement(True, champion), "r")
    gate_decision.record_decision(root, "4", judgement(True, "3"), "r", datetime.now(UTC) + timedelta(days=1))
    return folder


@pytest.fixture(scope="module")
def points(template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the registry held at each point; one program for all verbs, because importing takes longest."""
    before = files_below(template / "placed")
    counts = [f"{verb}={count}" for verb, count, *_ in (*VERBS, *OTHERS)]
    command = [sys.executable, "-m", "tests.services.killing", str(template), str(tmp_path_factory.mktemp("killed"))]
    names = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command + counts, cwd=REPOSITORY, env=names, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr[-3000:]
    assert files_below(template / "placed") == before, "mending the copy changed the original"
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("verb", "count", "action", "aliases"), VERBS, ids=[verb[0] for verb in VERBS])
def test_a_decision_is_one_event_wherever_it_is_killed(
    points: list[dict[str, Any]], verb: str, count: int, action: str, aliases: dict[str, str]
) -> None:
    found = [one for one in points if one["verb"] == verb]
    assert len(found) == count and (found[0]["write"], found[-1]["write"]) == (1, found[0]["of"])
    for one in found:
        # Right after the kill the champion is the old or the new one; there is never none.
        assert one["killed"]["aliases"]["champion"] in (STAND["champion"], aliases["champion"]), one
        assert one["killed"]["actions"] in (BEFORE, [*BEFORE, action]), one
        assert one["after"] == {"actions": [*BEFORE, action], "aliases": aliases, "problems": [], "elsewhere": 0}, one


@pytest.mark.parametrize(("verb", "count", "right"), OTHERS, ids=[verb[0] for verb in OTHERS])
def test_files_end_as_without_the_kill_wherever_it_comes(
    points: list[dict[str, Any]], verb: str, count: int, right: dict[str, Any]
) -> None:
    found = [one for one in points if one["verb"] == verb]
    assert len(found) == count and (found[0]["write"], found[-1]["write"]) == (1, found[0]["of"])
    assert [one for one in found if one["after"] != right] == []
