"""`kshot audit`: the origin and history of a model, with each link verified."""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError
from kshot.redaction import redacted

AUDIT = """\
Show the origin of a model and verify each link: run, weights, every file that is loaded when it
is served, data, params, code, environment, episodes, accuracies, decision, and the history of its
aliases, which git anchors. Ask from either end:

  kshot audit --model champion       the chain of one version
  kshot audit --model 3 --deep       and hash its data again
  kshot audit --data 3f9a0c1e        runs, models and decisions that depend on a data version
  kshot audit --at 2026-03-01        the champion at that time (a day or a time, in UTC)
  kshot audit --class robin          data versions and models that contain a class
  kshot audit --limits               what an audit does not check

Exit code 10: a link does not hold or was never recorded. Exit code 14: every checked link holds, and
kshot could not check one (ERROR): --debug shows why.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `audit` to the command line."""
    audit = verbs.add_parser(
        "audit", help="verify the origin of a model; list what depends on a data version", description=AUDIT
    )
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="VERSION", help="a version's number, champion or challenger")
    what.add_argument("--data", metavar="VERSION", help="a data version, or its first characters")
    what.add_argument("--at", metavar="TIME", help="a day, 2026-03-01, or a time, 2026-03-01T14:30, in UTC")
    what.add_argument("--class", dest="label", metavar="NAME", help="a class, as `kshot data diff` names it")
    what.add_argument("--limits", action="store_true", help="print what an audit does not check")
    audit.add_argument(
        "--deep",
        action="store_true",
        help="with --model or --data: hash the data again; ask git's remote what it anchors of the history",
    )
    form = audit.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON with every field")
    form.add_argument("--csv", action="store_true", help="the same as a table")
    audit.add_argument("--html", type=Path, metavar="FILE", help="with --model or --data: write one page to send, too")
    audit.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the requested audit; exit code 10 if something does not hold, 14 if only checks failed."""
    if (options.deep or options.html) and not (options.model or options.data):
        raise ParamsError("--deep and --html need --model or --data")
    if options.model or options.data:
        return _whole(root, options)
    if options.limits:
        from kshot.lifecycle.audit.limits import limits_text

        print(limits_text(min(shutil.get_terminal_size().columns, 100)))
        return 0
    return _at(root, options) if options.at else _class(root, options)


def _whole(root: Path, options: argparse.Namespace) -> int:
    """Audit a model or a data version, optionally hashing its files again and writing a page."""
    from kshot.lifecycle.audit import data, link, model, text

    ask: Any = model.audit_model if options.model else data.audit_data
    render: Any = text.model_text if options.model else text.data_text
    quiet = options.json or options.csv
    found = ask(root, options.model or options.data, deep=options.deep, quiet=quiet)
    if options.html:
        from kshot.lifecycle.audit import page

        write: Any = page.write_model_page if options.model else page.write_data_page
        write(found, options.html)
    _print(found, render, options)
    return link.exit_code(found.failed)


def _at(root: Path, options: argparse.Namespace) -> int:
    from kshot.lifecycle.audit import data, text
    from kshot.lifecycle.history import history

    found = data.champions(root, options.at)
    _print(found, lambda champions: text.champion_text(options.at, champions), options)
    if trouble := history.record(root).trouble:
        print(f"warning: {redacted(trouble)}", file=sys.stderr)
    return 0


def _class(root: Path, options: argparse.Namespace) -> int:
    from kshot.lifecycle.audit import classes, text

    _print(classes.audit_class(root, options.label), text.class_text, options)
    return 0


def _print(found: Any, render: Callable[[Any], str], options: argparse.Namespace) -> None:
    if options.json or options.csv:
        from kshot.lifecycle.audit import forms

        print(forms.to_json(found) if options.json else forms.to_csv(found))
        return
    print(render(found))
    if options.html:
        print(f"page: {options.html}")
