"""Runs verbs repeatedly in processes that are killed at their n-th write, and then repeats each verb.

    python -m tests.services.killing TEMPLATE SCRATCH VERB=POINTS ...

prints a line of JSON for each point: what was to be seen right after the kill and after the repetition. A write is a
statement that changes the database, a commit, or a file below the project that is opened for writing, renamed or
removed. An exception of a verb that was not killed ends the program with its traceback. TEMPLATE is a folder of
projects, `kill_projects.write` makes all but `registry`.
"""

import functools
import gc
import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the verbs import late is imported here, before the processes part.
import mlflow.artifacts
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
from sqlalchemy import event
from sqlalchemy.engine import Engine

from kshot.lifecycle.history import event_chain, events
from kshot.lifecycle.registry import catch_up, gate_decision, model_versions, promotion
from kshot.lifecycle.tracking.own_database import DATABASE
from tests.conftest import read_migrations_once
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement
from tests.services import kill_projects

NEVER = 10**9
CHANGES = ("INSERT", "UPDATE", "DELETE")
FILES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")


def decide(root: Path) -> None:
    """What the gate does at the end of a retraining."""
    catch_up.catch_up(root)
    found, now = model_versions.find(root, "4"), model_versions.champion(root)
    assert now is not None
    if not gate_decision.is_decided(found, now, "stricter"):
        gate_decision.record_decision(root, "4", judgement(True, now.version), "stricter")


@dataclass(frozen=True)
class Verb:
    """What it does, the template that it does it in, how that is copied, and what is to be seen before and after."""

    act: Callable[[Path], object]
    template: str
    fresh: Callable[[Path, Path], Path]
    killed: Callable[[Path], dict[str, Any]]
    after: Callable[[Path], dict[str, Any]]


def main(templates: Path, scratch: Path, name: str, points: int) -> None:
    """Kill the verb at so many writes, the first and the last among them."""
    verb = VERBS[name]
    template = templates / verb.template
    total = forked(lambda: run(verb, verb.fresh(template, scratch / name / "whole"), NEVER))["writes"]
    assert isinstance(total, int) and total >= points > 1
    for place in range(points):
        point = round(1 + (total - 1) * place / (points - 1))
        root = verb.fresh(template, scratch / name / str(point))
        assert forked(lambda root=root, point=point: run(verb, root, point)) == {}, "it was not killed"
        killed = verb.killed(root)
        forked(lambda root=root: run(verb, root, NEVER))
        after = forked(lambda root=root: verb.after(root))
        print(json.dumps({"verb": name, "write": point, "of": total, "killed": killed, "after": after}))


def run(verb: Verb, root: Path, last: int) -> dict[str, Any]:
    """Run the verb in this process, which is killed before its write number `last`."""
    writes = 0

    def write() -> None:
        nonlocal writes
        writes += 1
        if writes == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        of_file = name in FILES or (name == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wax")
        if of_file and str(arguments[0]).startswith(str(root)):
            write()

    sys.addaudithook(hear)
    event.listen(Engine, "commit", lambda connection: write())
    event.listen(
        Engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: write() if statement.lstrip().startswith(CHANGES) else None,
    )
    # What kshot does without SQLAlchemy.
    sqlite3.connect = functools.partial(sqlite3.connect, factory=counting(write))  # type: ignore[assignment]
    verb.act(root)
    return {"writes": writes}


def counting(write: Callable[[], None]) -> type[sqlite3.Connection]:
    """A connection that says `write` before each statement that changes the database, and before a commit."""

    class Counting(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement.lstrip().upper().startswith((*CHANGES, "COMMIT")):
                write()
            return super().execute(statement, *values)

    return Counting


def look(root: Path) -> dict[str, Any]:
    """What the registry holds: the actions, where the aliases stand, whether everything fits. Without MLflow: quick."""
    with closing(sqlite3.connect(root / DATABASE)) as database:
        rows = dict(database.execute("select key, value from params where key like 'event.%'"))
        aliases = dict(database.execute("select alias, cast(version as text) from registered_model_aliases"))
        places = [row[0] for row in database.execute("select artifact_location from experiments")]
    found = [
        events.from_text(text, done=f"{name}.done" in rows)
        for name, text in sorted(rows.items())
        if not name.endswith(".done")
    ]
    return {
        "actions": [one.action for one in found],
        "aliases": aliases,
        "problems": event_chain.broken(found, aliases),
        "elsewhere": sum(not place.startswith(root.resolve().as_uri()) for place in places),
    }


def forked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns in a process of its own; {} where that was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            found = json.dumps(work()).encode()
            os.write(writer, found)
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return {}
    assert os.WEXITSTATUS(status) == 0, "the work failed; its traceback is above"
    found: dict[str, Any] = json.loads(text)
    return found


def nothing(root: Path) -> dict[str, Any]:
    """Look at nothing: the folder may be in the middle of a change."""
    return {}


def of_registry(act: Callable[[Path], object]) -> Verb:
    return Verb(act, "registry", registered_versions.copy, look, look)


VERBS = {
    "decide": of_registry(decide),
    "approve": of_registry(lambda root: promotion.approve(root, "4", by="Ada")),
    "reject": of_registry(lambda root: promotion.reject(root, "challenger", "too slow", "Ada")),
    "promote": of_registry(lambda root: promotion.promote(root, "1", "needed now", "Ada")),
    "rollback": of_registry(lambda root: promotion.rollback(root, "not in the field", by="Ada")),
    "add": Verb(kill_projects.add, "data", kill_projects.copied, nothing, kill_projects.look_at_data),
    "watch": Verb(kill_projects.watch, "data", kill_projects.copied, nothing, kill_projects.look_at_watched),
    "prune": Verb(
        kill_projects.prune, "prunable", kill_projects.copied_and_mended, nothing, kill_projects.look_at_pruned
    ),
    "mend": Verb(kill_projects.mend, "placed", kill_projects.copied, nothing, kill_projects.look_at_copy),
}

if __name__ == "__main__":
    read_migrations_once()
    mlflow.store.db.utils._get_latest_schema_revision()  # all forks then know it
    gc.freeze()  # a fork that scanned the imported objects would copy their memory
    for argument in sys.argv[3:]:
        asked, _, count = argument.partition("=")
        main(Path(sys.argv[1]), Path(sys.argv[2]), asked, int(count))
