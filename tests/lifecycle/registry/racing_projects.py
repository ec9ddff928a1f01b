"""Two folders that share nothing but an MLflow store, and register the same lineages at the same moments."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lifecycle import finished_project

RACE = """
import json, sys, time
from pathlib import Path
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.tracking import live_run
from kshot.lifecycle.tracking.lineage import lineage
from tests.lifecycle.finished_project import write_lock

root, rounds, other = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

def meet(name):
    (root / name).touch()
    until = time.monotonic() + 120
    while not (other / name).exists():
        assert time.monotonic() < until, f"the other folder did not come to {name}"
        time.sleep(0.001)

for number in range(rounds):
    write_lock(root, steps=20 + number)
    with live_run.live_run(root) as live:
        run_id = live.open()
    meet(f"round{number}")
    found = model_versions.register(root, run_id, lineage(root))
    print(json.dumps([found.version, found.is_new]), flush=True)
"""


def race(folder: Path, rounds: int, names: Mapping[str, str], project: str = "kshot") -> list[list[tuple[str, bool]]]:
    """The version and whether it was new, for each round and both folders; `names`: the environment of both."""
    roots = [finished_project.write(folder / name) for name in ("one", "two")]
    for root in roots:
        text = (root / "params.yaml").read_text(encoding="utf-8")
        (root / "params.yaml").write_text(text.replace("project: kshot ", f"project: {project} "), encoding="utf-8")
    commands = [
        [sys.executable, "-c", RACE, str(root), str(rounds), str(other)]
        for root, other in zip(roots, reversed(roots), strict=True)
    ]
    both = [subprocess.Popen(one, stdout=subprocess.PIPE, env=dict(names), text=True) for one in commands]
    said = [one.communicate(timeout=900)[0].splitlines() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    found = [[tuple(json.loads(line)) for line in lines] for lines in said]
    return [list(pair) for pair in zip(*found, strict=True)]
