"""`kshot reproduce`: builds a registered model again, and says whether the result is the same."""

import argparse
import sys
from pathlib import Path
from typing import Any

from kshot.errors import NotReproduced, ParamsError

DESCRIPTION = """\
Run the stages of a registered version again, from the recorded code, params, data and, with
--install, packages, in a worktree of its own, and compare weights and accuracies with the
registered ones. On the same kind of machine they must be identical, bit for bit; elsewhere the
accuracies may differ by --tolerance. Differences of the environment are listed.

  kshot reproduce champion
  kshot reproduce 3 --install        with the packages that it was made with

It works in a bare clone, too: with the project's git repository, DVC's remote and the MLflow
store (MLFLOW_TRACKING_URI). Project, registry and champion stay as they are. It runs the code
that the record names: reproduce from a store that you trust.

Exit code 0: identical or within the tolerance. Exit code 11: different, or it cannot be rebuilt.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `reproduce` to the command line."""
    top = verbs.add_parser("reproduce", help="rebuild a registered model and compare", description=DESCRIPTION)
    top.add_argument("version", metavar="VERSION", help="a version's number, champion or challenger")
    top.add_argument("--install", action="store_true", help="install the recorded packages and run with those")
    top.add_argument(
        "--tolerance",
        type=float,
        metavar="POINTS",
        help="percentage points by which an accuracy may differ on another kind of machine (1)",
    )
    top.add_argument("--json", action="store_true", help="print JSON with every field")
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print each step as it is done, and the result. Raises KshotError."""
    points = options.tolerance
    if points is not None and not 0 <= points <= 100:
        raise ParamsError(f"--tolerance is {points:g}; needs percentage points from 0 to 100, such as 0.5")
    from kshot.lifecycle.reproduce import reproduction
    from kshot.lifecycle.reproduce import text as words

    found = reproduction.reproduce(
        root,
        options.version,
        tolerance=reproduction.TOLERANCE if points is None else points / 100,
        install=options.install,
        say=lambda line: None if options.json else print(f"  {line}", flush=True),
        on_output=show if sys.stderr.isatty() else lambda text, progress: None,
    )
    print(words.to_json(found) if options.json else words.render_reproduction(found))
    return NotReproduced.exit_code if found.verdict == reproduction.OTHERWISE else 0


def show(text: str, progress: bool) -> None:
    """Show a stage's progress bar in one line, which the next update replaces."""
    if progress and text.strip():
        print(f"\r\033[K{text.strip()[:100]}\r", end="", file=sys.stderr, flush=True)
