"""`kshot doctor`: finds problems on this machine and in this project, and repairs them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import MustBeMended
from kshot.redaction import redacted

if TYPE_CHECKING:
    from kshot.lifecycle.doctor.finding import Finding

DESCRIPTION = """\
Look for common problems: incompatible packages, usage data that is sent, a project that was moved,
a schedule that starts nothing, runs that hang as running, data that is only on this machine, locks
and databases that cannot be used.

A line with ! must be repaired, and the exit code is then 13; one with - is a hint.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `doctor` to the command line."""
    top = verbs.add_parser(
        "doctor", help="find problems in this project and on this machine, and repair them", description=DESCRIPTION
    )
    top.add_argument(
        "--mend",
        action="store_true",
        help="repair what needs no person: artifact paths of a moved project (after a backup), runs that "
        "hang, settings with old names, data pushed to the remote",
    )
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the findings, repair them with --mend, and check again; exit code 13 if something must be repaired."""
    found = _look(root, options)
    mends = [finding for finding in found if finding.by_itself is not None]
    if options.mend and mends:
        for finding in mends:
            assert finding.by_itself is not None
            print(redacted(f"mended: {finding.by_itself()}"), flush=True)
        found = _look(root, options)
    for finding in found:
        print(redacted(f"{'!' if finding.must else '-'} {finding.check:<10} {finding}"))
    must = sum(finding.must for finding in found)
    print(_summary(must, len(found) - must))
    return MustBeMended.exit_code if must else 0


def _look(root: Path, options: argparse.Namespace) -> "list[Finding]":
    from kshot.flows import doctor as of_prefect
    from kshot.lifecycle.doctor.checkup import checkup

    return checkup(root, options.set_by_kshot, {"prefect": lambda: of_prefect.findings(root)})


def _summary(must: int, may: int) -> str:
    if not must and not may:
        return "nothing is wrong"
    text = f"{must} must be mended" if must else "nothing must be mended"
    return text + (f", {may} worth knowing" if may else "")
