"""`kshot retrain`: runs one retraining in this process, from the images to the decision."""

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import KshotError
from kshot.lifecycle.project import progress, project_lock, state_place
from kshot.lifecycle.tracking import sqlite_trouble
from kshot.load_yaml import load_yaml

if TYPE_CHECKING:
    from kshot.lifecycle.params_file.settings_change import Change

FEW = 3  # changes that one command undoes

DESCRIPTION = """\
Run one retraining: ingest, split, validate, episodes, train and evaluate, then register the
model in MLflow and decide whether it becomes the champion. Without data it uses the built-in
set of letters. Stages whose inputs have not changed do not run again.

  kshot retrain --set train.steps=500               another number of steps, written to params.yaml
  kshot retrain --params benchmarks/omniglot/prototypical.yaml
  kshot retrain --data 3f9a0c1e                     on an earlier data version

Ctrl-C stops it; the same command continues from there.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `retrain` to the command line."""
    top = verbs.add_parser(
        "retrain", help="run one retraining, from the images to the decision", description=DESCRIPTION
    )
    top.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting in params.yaml first, such as train.steps=500 (repeat for more)",
    )
    top.add_argument(
        "--params",
        type=Path,
        metavar="FILE",
        help="a YAML file with some of the sections of params.yaml, merged into it before --set",
    )
    top.add_argument("--data", metavar="VERSION", help="bring this data version to data/raw first")
    top.add_argument(
        "--allow-unrecorded",
        action="store_true",
        help="continue even if git does not know the code (no git, no commit); the audit of the model says so",
    )
    top.set_defaults(run=run, continues=True)


def run(root: Path, options: argparse.Namespace) -> int:
    """Change params.yaml and data/raw as the options say, then run the flow here."""
    sqlite_trouble.require_usable(root)
    state_place.require_here(root)
    with project_lock.hold(root, "kshot retrain"):
        changes = change_settings(root, options)
        try:
            start(root, debug=options.debug, data=options.data, allow_unrecorded=options.allow_unrecorded)
        except KshotError:
            if changes:
                progress.clear()
                print(stay_text(changes), flush=True)
            raise
    return 0


def start(root: Path, *, debug: bool, data: str | None = None, allow_unrecorded: bool = False) -> None:
    """Run the flow in this process, on data version `data` or the current one; the caller holds the project's lock.

    Raises RegistryError if git cannot determine the commit, unless `allow_unrecorded`.
    """
    if not debug:
        # Prefect's own messages stay in its log; the terminal shows kshot's messages.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from kshot.flows import server

    starting = server.launch(root)  # before anything else, because it takes the longest
    from kshot.lifecycle.tracking import lineage

    lineage.require_recorded(lineage.code_state(root), allow_unrecorded)
    choose_data(root, data)
    from kshot.flows import output, project_flow
    from kshot.lifecycle.retraining import steps

    retrain = project_flow.load(root)
    if starting is not None:
        steps.warm_up(root)
        starting.wait()
    with output.on_terminal():
        retrain(root=str(root), allow_unrecorded=allow_unrecorded)


def stay_text(changes: "Sequence[Change]") -> str:
    """The line after a failed retraining: params.yaml keeps these changes, and how to undo them."""
    from kshot.lifecycle.params_file.settings_change import format_value

    simple = [change for change in changes if change.before is not None]
    if len(simple) < len(changes) or len(changes) > FEW:
        return "params.yaml keeps these changes; to undo them, set the first value of each there again"
    sets = [shlex.quote(f"{change.key}={format_value(change.before)}") for change in changes]
    return (
        f"params.yaml keeps {'this change' if len(sets) == 1 else 'these changes'}; to undo: kshot retrain "
        + " ".join(f"--set {one}" for one in sets)
    )


def change_settings(root: Path, options: argparse.Namespace) -> "list[Change]":
    """Write --params and --set to params.yaml and return the changes; nothing is written unless all is valid.

    Weights of the extra `photographs` that the project lost, or that a clone never had, are written again. Raises
    CheckpointError for a changed train.network.checkpoint that is no file.
    """

    from kshot.lifecycle.params_file import old_names, settings, settings_change
    from kshot.lifecycle.settings_fit import packaged_weights
    from kshot.params.schema import params_from

    for line in (old_names.notice(root), old_names.overrides_notice(options.params, options.sets)):
        if line:
            print(line)
    text, changes = settings.plan(root, overlay=options.params, sets=options.sets)
    params = params_from(load_yaml(text))
    packaged_weights.bring_back(root, params.train.network.checkpoint)
    settings.require_checkpoint(root, params, changes)
    if changes:
        settings.write(root, text)
        print("\n".join(["params.yaml, changed:", *settings_change.changes_text(changes)]))
    return changes


def choose_data(root: Path, wanted: str | None) -> None:
    """Restore the data version `wanted` to data/raw; if there is no version yet, add the built-in set."""
    from kshot.lifecycle.data import data_versions
    from kshot.lifecycle.data.changes import add_version, restore

    if wanted is not None:
        restore.checkout(root, data_versions.find(root, wanted))
    elif data_versions.current(root) is None:
        print("no data yet: adding the built-in set, letters of many scripts (your own: `kshot data add FOLDER`)")
        add_version.add(root, "glyphs", add_version.AddOptions(note="the built-in set"))
