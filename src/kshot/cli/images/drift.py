"""`kshot drift`: compares new images with the champion's training images, and says whether they have drifted."""

import argparse
import sys
from pathlib import Path
from typing import Any

from kshot.errors import DataError, Drifted, ParamsError

DESCRIPTION = """\
Compare new images with those that the champion was trained on: the champion's own data version
and model, whatever lies in this folder. SOURCE is what `kshot data add` takes, or images in no
folder, a manifest without classes; it is looked at and not added.

  size ... sharpness   what the images look like
  distance, unknown    how far they lie from the training classes; the share of no known class
  mmd                  where in the model's space they lie
  outlyingness, task   the same for their classes, where there are labels

A measure has drifted when it lies beyond its limit, which is set on held-out classes.
Ends with 0, or 12 where anything has drifted. The page is reports/drift.html;
docs/drift.md has the formulas and what was measured.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `drift` to the command line."""
    top = verbs.add_parser(
        "drift", help="compare new images with those that the champion was trained on", description=DESCRIPTION
    )
    top.add_argument("source", metavar="SOURCE", help="folder, archive or manifest, with classes or without; not added")
    top.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="MEASURE",
        help="show this measure without counting it, such as unknown where new classes are what is expected "
        "(repeat for more)",
    )
    top.add_argument("--json", action="store_true", help="print the verdict as JSON")
    top.add_argument("--html", type=Path, metavar="FILE", help="write the page there instead of reports/drift.html")
    top.add_argument(
        "--retrain",
        action="store_true",
        help="where it has drifted, add SOURCE as the data version, as `kshot data add` does, and retrain on it",
    )
    top.add_argument(
        "--extend",
        action="store_true",
        help="with --retrain: keep the images of the current version, and add those of SOURCE; otherwise SOURCE "
        "replaces them",
    )
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the verdict, write the page, and retrain with --retrain; exit code 12 for drift without a retraining."""
    from kshot.lifecycle.drift.page import PAGE, write_drift_page
    from kshot.lifecycle.drift.text import render_verdict
    from kshot.lifecycle.drift.verdict import drift, to_json
    from kshot.lifecycle.project import progress
    from kshot.lifecycle.sources.source_argument import check_exists
    from kshot.nets.memory import keep_freed_memory

    if options.extend and not options.retrain:
        raise ParamsError("--extend says how SOURCE is added; needs --retrain too")
    check_exists(options.source)  # before the model is looked up, which may be missing too
    keep_freed_memory()
    found = drift(root, options.source, ignore=options.ignore)
    progress.clear()
    page = options.html or root / PAGE
    write_drift_page(found, page)
    if options.json:
        print(to_json(found), end="")
    else:
        print(render_verdict(found))
        print(f"\n  page          {options.html or PAGE.as_posix()}")
    if not found.drifted:
        return 0
    if not options.retrain:
        return Drifted.exit_code
    if found.classes is None:
        raise DataError(
            f"{options.source} has drifted and says no classes, so that it cannot be trained on; "
            "needs one folder a class: sort the images, then `kshot data add` (with --extend to keep the images that "
            "are there) and `kshot retrain`"
        )
    from kshot.cli import retrain
    from kshot.lifecycle.data.changes.add_version import AddOptions
    from kshot.lifecycle.pipeline import added_data
    from kshot.lifecycle.project import project_lock

    with project_lock.hold(root, "kshot drift --retrain"):
        added_data.add(
            root,
            options.source,
            AddOptions(extend=options.extend, note=f"drifted: {', '.join(row.measure.name for row in found.drifted)}"),
            say=lambda line: print(line, file=sys.stderr if options.json else sys.stdout, flush=True),
        )
        options.continues = True
        retrain.start(root, debug=options.debug)
    return 0
