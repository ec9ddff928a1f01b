"""`kshot promote`, `approve`, `reject`, `rollback`: a person's decisions about a version."""

import argparse
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kshot.lifecycle.history.events import Event
    from kshot.lifecycle.signatures.signing_key import SigningKey

VERSION = "a version's number, champion or challenger"

KEY = (
    "sign the decision with this SSH key (default: $KSHOT_SIGNING_KEY; with gate.approval: signed also git's "
    "user.signingkey)"
)

ROLLBACK = """\
Make the previous champion champion again. The version that is replaced does not return by itself:
the gate does not promote it again, only `kshot promote` does. Two rollbacks go two champions back.
"""


def add_parser(verbs: Any) -> None:
    """Add the verbs for decisions to the command line."""
    promote = verbs.add_parser("promote", help="make a version champion, whatever the gate decided")
    promote.add_argument("version", metavar="VERSION", help=VERSION)
    promote.add_argument(
        "--allow-unrecorded", action="store_true", help="also if the code that made it is unknown (no commit)"
    )
    promote.set_defaults(run=run_promote)

    approve = verbs.add_parser("approve", help="make a version that waits for approval champion")
    approve.add_argument("version", metavar="VERSION", help=VERSION)
    approve.set_defaults(run=run_approve)

    reject = verbs.add_parser("reject", help="exclude a version from becoming champion")
    reject.add_argument("version", metavar="VERSION", help=VERSION)
    reject.set_defaults(run=run_reject)

    rollback = verbs.add_parser("rollback", help="make the previous champion champion again", description=ROLLBACK)
    rollback.add_argument("--to", metavar="VERSION", help="an earlier champion (default: the one before)")
    rollback.set_defaults(run=run_rollback)

    for verb in (promote, reject, rollback):
        verb.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded permanently")
    approve.add_argument("--reason", default="", metavar="TEXT", help="why; recorded permanently")
    for verb in (promote, approve, reject, rollback):
        verb.add_argument(
            "--by", default="", metavar="NAME", help="who decides (default: the user); recorded with user and machine"
        )
        verb.add_argument("--key", type=Path, metavar="FILE", help=KEY)


def run_promote(root: Path, options: argparse.Namespace) -> int:
    """Promote a version and print the outcome; before, what it means for the galleries."""
    from kshot.cli.versions.gallery_changes import print_gallery_changes
    from kshot.lifecycle.registry import promotion

    print_gallery_changes(root, options.version)

    allowed = options.allow_unrecorded
    return _decide(
        root,
        options,
        lambda key: promotion.promote(
            root, options.version, options.reason, options.by, allow_unrecorded=allowed, key=key, report=report
        ),
    )


def run_approve(root: Path, options: argparse.Namespace) -> int:
    """Approve a version and print the outcome; before, what it means for the galleries."""
    from kshot.cli.versions.gallery_changes import print_gallery_changes
    from kshot.lifecycle.registry import promotion

    print_gallery_changes(root, options.version)

    return _decide(
        root,
        options,
        lambda key: promotion.approve(root, options.version, options.reason, options.by, key=key, report=report),
    )


def run_reject(root: Path, options: argparse.Namespace) -> int:
    """Reject a version and print the outcome."""
    from kshot.lifecycle.registry import promotion

    return _decide(
        root,
        options,
        lambda key: promotion.reject(root, options.version, options.reason, options.by, key=key, report=report),
    )


def run_rollback(root: Path, options: argparse.Namespace) -> int:
    """Roll back and print the outcome."""
    from kshot.lifecycle.registry import promotion

    return _decide(
        root,
        options,
        lambda key: promotion.rollback(root, options.reason, options.to, options.by, key=key, report=report),
    )


def report(event: "Event") -> None:
    """Print the outcome at once: until then the command counts as unfinished, and repeating it finishes it."""
    from kshot.lifecycle.history import event_text

    print(event_text.outcome_text(event), flush=True)


def _decide(root: Path, options: argparse.Namespace, decide: "Callable[[SigningKey], Event]") -> int:
    from kshot.lifecycle.openlineage.announced import announced
    from kshot.lifecycle.openlineage.run_events import LineageRun
    from kshot.lifecycle.registry import catch_up
    from kshot.lifecycle.signatures.signing_key import signing_key

    # One job for all four, as by Prefect's form.
    run = LineageRun("promote", str(uuid.uuid4()), measures=False, kind="COMMAND")
    with announced(root, run, lambda line: print(f"! {line}", file=sys.stderr)) as events:
        key = signing_key(root, options.key)
        for sentence in catch_up.catch_up(root):
            print(f"! {sentence}")
        event = decide(key)
        events.decided(event.version, event.action, (event.why,))
    return 0
