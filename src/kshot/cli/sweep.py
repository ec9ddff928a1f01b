"""`kshot sweep`: many retrainings of one commit, compared on the validation episodes."""

import argparse
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError, StageFailed
from kshot.lifecycle.project import project_lock, state_place
from kshot.lifecycle.tracking import sqlite_trouble
from kshot.params.engine import ENGINES, engine_here

DESCRIPTION = """\
Train once for each trial of FILE, compare the trials on the validation episodes and name the
best. Only the best trial predicts the test episodes, when it is retrained.

  kshot sweep losses.yaml                  grid: {train.loss.name: [...], train.seed: [0, 1]}
  kshot sweep losses.yaml --processes 2    two trials at a time
  kshot sweep losses.yaml --engine ray     on the nodes of the Ray cluster of RAY_ADDRESS
  kshot sweep losses.yaml --retrain        and retrain with the best

FILE has a grid, of which every combination is a trial, or trials: a list of settings, with names
as in --set. Each trial works in a git worktree of the commit that is checked out, with
params.yaml as it is now; nothing is registered. After Ctrl-C or a crash the same command continues
with the trials that have not finished. docs/sweep.md says more.

Exit code 0 if every trial finished, 6 if one failed.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `sweep` to the command line."""
    top = verbs.add_parser("sweep", help="many retrainings, compared on validation episodes", description=DESCRIPTION)
    top.add_argument("file", type=Path, metavar="FILE", help="a YAML file with grid or trials")
    top.add_argument("--processes", type=int, metavar="N", help="trials at a time (1; on a Ray cluster as many as fit)")
    top.add_argument(
        "--engine", choices=ENGINES, help="where the trials run (default: engine in params.yaml); see docs/scale.md"
    )
    top.add_argument(
        "--retrain", action="store_true", help="then retrain with the best: evaluate, register and decide as usual"
    )
    top.set_defaults(run=run, continues=True)


def run(root: Path, options: argparse.Namespace) -> int:
    """Run the sweep, print its table and write its page. Raises KshotError."""
    if options.processes is not None and options.processes < 1:
        raise ParamsError(f"--processes is {options.processes}; needs 1 or more")
    sqlite_trouble.require_usable(root)
    state_place.require_here(root)
    from kshot.lifecycle.params_file import old_names
    from kshot.lifecycle.sweep import sweep
    from kshot.lifecycle.sweep.sweep_page import write_sweep_page
    from kshot.lifecycle.sweep.sweep_text import text
    from kshot.params.schema import load_params

    engine = options.engine or engine_here(load_params(root / "params.yaml").engine)
    old_names.notice(root)  # its errors: names that DVC would not find
    with project_lock.hold(root, "kshot sweep", project_lock.SWEEP):
        found, runs = sweep.run(
            root, options.file, options.processes, lambda line: print(f"  {line}", flush=True), engine
        )
        page = write_sweep_page(found, sweep.page_path(root))
        runs.end("FAILED" if found.failed else "FINISHED", found.best, page)
    print(f"\n{text(found)}\n\n  page      {page.relative_to(root)}")
    best = found.best
    if found.failed or best is None:
        return StageFailed.exit_code
    if not options.retrain:
        print(f"  next      {best.command}")
        return 0
    from kshot.cli import retrain

    print(f"  {best.command}\n")
    with project_lock.hold(root, "kshot sweep --retrain"):
        retrain.change_settings(root, argparse.Namespace(params=None, sets=list(best.sets)))
        retrain.start(root, debug=options.debug)
    return 0
