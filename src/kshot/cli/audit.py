"""`kshot audit`: what a model came from and what became of it, each link verified."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kshot.lifecycle.audit.model import ModelAudit

AUDIT = """\
Say where a model came from, and verify each link of it: run, weights, data, params, code,
environment, episodes, accuracies, decision, and the history of its aliases. Ask from either end:

  kshot audit --model champion       the chain of one version
  kshot audit --model 3 --deep       and hash its data again
  kshot audit --data 3f9a0c1e        runs, models and decisions that rest on a data version
  kshot audit --at 2026-03-01        who was champion then (a day or a time, in UTC)
  kshot audit --class robin          which data versions and models saw a class

Exit code 10 where a link does not hold or was never recorded.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `audit` to the command line."""
    audit = verbs.add_parser(
        "audit",
        help="verify where a model came from; what rests on a data version",
        description=AUDIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = audit.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="VERSION", help="a version's number, champion or challenger")
    audit.add_argument("--deep", action="store_true", help="with --model or --data: hash the data again")
    form = audit.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the same for programs, every field")
    form.add_argument("--csv", action="store_true", help="the same as a table")
    audit.add_argument("--html", type=Path, metavar="FILE", help="write one page that can be sent to an auditor too")
    audit.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the audit that was asked for. Raises AuditFailed, after it is printed, where something does not hold."""
    return run_model(root, options)


def run_model(root: Path, options: argparse.Namespace) -> int:
    """Audit one version."""
    from kshot.errors import AuditFailed
    from kshot.lifecycle.audit import model

    found = model.audit_model(root, options.model, deep=options.deep, quiet=options.json or options.csv)
    _print(found, options)
    return AuditFailed.exit_code if found.failed else 0


def _print(found: "ModelAudit", options: argparse.Namespace) -> None:
    from kshot.lifecycle.audit import words

    print(words.model_words(found))
