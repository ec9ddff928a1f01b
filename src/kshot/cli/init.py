"""`kshot init NAME`: a project of your own in a new folder."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    """Add the verb `init` to the command line."""
    top = verbs.add_parser(
        "init",
        help="make a project of your own",
        description="Make the folder NAME with a project of that name: params.yaml, dvc.yaml, flows/retrain.py, a "
        "workflow for pull requests, and a git repository with a first commit. The name is that of its model, its "
        "runs and its schedules.",
    )
    top.add_argument("name", metavar="NAME", help="a folder that is new or empty; its last part names the project")
    top.set_defaults(run=run, outside=True)


def run(here: Path, options: argparse.Namespace) -> int:
    """Write the project and say what to do next."""
    import shlex

    from kshot.lifecycle.project import new_project

    root = here / options.name
    for line in new_project.make(root):
        print(line)
    print(f"project {root.name} is in {root}\n")
    print(f"  cd {shlex.quote(options.name)}")
    print("  kshot retrain     on the built-in letters; on your own images after: kshot data add FOLDER")
    return 0
