"""`kshot prune`: lists files that no kept model needs, with their sizes; deletes them only with --yes."""

import argparse
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.lifecycle.project import project_lock

if TYPE_CHECKING:
    from kshot.lifecycle.prune.proposal import Proposal

DESCRIPTION = """\
List files that no kept model needs, with their sizes, and delete them with --yes: data versions and
stage outputs in DVC's cache, files of models that were refused, rejected or never decided in time,
and checkpoints of trainings that were stopped a week ago or earlier.

These are kept: every champion, past or present, with its training data; the challenger; versions that
wait or have no decision; versions that an alias or gate.reference names; data versions with a name, in
a schedule or waiting for a retraining; and whatever the working tree, a branch or a tag names. If the
training data of a champion is unknown, nothing is proposed.
"""
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def add_parser(verbs: Any) -> None:
    """Add the verb `prune` to the command line."""
    top = verbs.add_parser(
        "prune", help="list files that no kept model needs; delete them with --yes", description=DESCRIPTION
    )
    top.add_argument("--yes", action="store_true", help="delete what is listed")
    top.add_argument("--json", action="store_true", help="print JSON with every file")
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the proposal, and carry it out with --yes."""
    from kshot.lifecycle.prune import proposal

    with contextlib.ExitStack() as locks:
        # All three: outputs of a retraining or a sweep are in the cache before any version names them.
        for lock in (project_lock.LOCK, project_lock.SCHEDULED, project_lock.SWEEP):
            locks.enter_context(project_lock.hold(root, "kshot prune", lock))
        found = proposal.propose(root)
        if options.json:
            print(json.dumps({**dataclasses.asdict(found), "deleted": options.yes}, indent=2))
        else:
            print(render_proposal(found))
        if options.yes:
            proposal.delete(root, found)
    if not options.json and found.items:
        done = "deleted" if options.yes else "nothing was deleted; `kshot prune --yes` deletes it"
        print(f"\n{size(found.size)} in all: {done}")
    return 0


def render_proposal(found: "Proposal") -> str:
    """The text of the proposal."""
    from kshot.lifecycle.project.tables import columns

    rows = [
        {"what": item.what, "files": f"{len(item.files):,}", "bytes": size(item.size), "why": item.why}
        for item in found.items
    ]
    kept = "; ".join(f"version {number}, {why}" for number, why in found.kept.items())
    lines = columns(rows) if rows else ["nothing is there that no kept model needs"]
    return "\n".join([*lines, "", f"kept: {kept or 'no version, as there is none'}", *filter(None, [found.note])])


def size(count: int) -> str:
    """A number of bytes as readable text."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"
