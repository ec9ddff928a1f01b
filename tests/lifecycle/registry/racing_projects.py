"""Two folders that share nothing but an MLflow store, and register the same lineages at the same moments."""

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from kshot.lifecycle.registry import registration
from kshot.lifecycle.serving import package
from kshot.lifecycle.tracking import live_run
from kshot.lifecycle.tracking.lineage import lineage
from tests import ready_process
from tests.lifecycle import finished_project
from tests.lifecycle.small_model import small_model


def register(found: Connection, root: Path, rounds: int, other: Path) -> None:
    """Register a lineage in each round, at the moment when the other folder's process does.

    The first round registers a whole model, the others one without code: they race more closely, and a server need not
    store and send 200 files for each.
    """
    for number in range(rounds):
        finished_project.write_lock(root, steps=20 + number)
        with live_run.live_run(root) as live:
            run_id = live.open()
        meet(root, other, f"round{number}")
        made = registration.register(root, run_id, lineage(root))
        found.send((made.version, made.is_new))
        package.log_model = small_model  # in this process alone


def meet(root: Path, other: Path, name: str) -> None:
    (root / name).touch()
    until = time.monotonic() + 120
    while not (other / name).exists():
        assert time.monotonic() < until, f"the other folder did not come to {name}"
        time.sleep(0.001)


def race(folder: Path, rounds: int, names: Mapping[str, str], project: str = "kshot") -> list[list[tuple[str, bool]]]:
    """The version and whether it was new, for each round and both folders; `names`: the environment of both."""
    roots = [finished_project.write(folder / name) for name in ("one", "two")]
    for root in roots:
        text = (root / "params.yaml").read_text(encoding="utf-8")
        (root / "params.yaml").write_text(text.replace("project: kshot ", f"project: {project} "), encoding="utf-8")
    both = []
    for root, other in zip(roots, reversed(roots), strict=True):
        ours, theirs = ready_process.CONTEXT.Pipe()
        both.append((ready_process.start(register, theirs, root, rounds, other, names=names), ours))
        theirs.close()  # so that the end of the process ends the wait
    found = [[channel.recv() for _ in range(rounds)] for _, channel in both]
    assert [ready_process.ended(process) for process, _ in both] == [0, 0]
    return [list(pair) for pair in zip(*found, strict=True)]
