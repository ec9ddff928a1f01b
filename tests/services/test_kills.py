"""kill -9 at the n-th write of every verb that decides: the same command afterwards ends in one event."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.registry import model_versions
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement

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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three champions, one after the other, and version 4 that waits for approval."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"))
    for version, champion in (("1", None), ("2", "1"), ("3", "2")):
        model_versions.settle(root, version, judgement(True, champion), "r")
    model_versions.settle(root, "4", judgement(True, "3"), "r", datetime.now(UTC) + timedelta(days=1))
    return root


@pytest.fixture(scope="module")
def points(template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the registry held at each point; one program for all verbs, because importing takes longest."""
    counts = [f"{verb}={count}" for verb, count, *_ in VERBS]
    command = [sys.executable, "-m", "tests.services.killing", str(template), str(tmp_path_factory.mktemp("killed"))]
    names = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command + counts, cwd=REPOSITORY, env=names, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr[-3000:]
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
