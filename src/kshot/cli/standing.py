"""`kshot` without arguments: the project's current state, and what to do next."""

import argparse
from pathlib import Path

from kshot.lifecycle.project.tables import facts


def run(root: Path, options: argparse.Namespace) -> int:
    """Print both, using only the files of the project."""
    from kshot.lifecycle.retraining.standing import standing

    found = standing(root)
    print("\n".join(facts(found.facts)))
    print("\nnext")
    print("\n".join(facts(found.steps)))
    print("\n`kshot --help` lists all commands")
    return 0
