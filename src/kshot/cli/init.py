"""`kshot init NAME`: a project of your own in a new folder, with your images and settings that fit them."""

import argparse
from pathlib import Path
from typing import Any

from kshot.cli.images import fit_settings

DESCRIPTION = """\
Make the folder NAME with a project of that name: params.yaml, dvc.yaml, flows/retrain.py, a workflow
for pull requests, and a git repository with a first commit. Its model, its runs and its schedules
use this name.

  kshot init shop                                 then kshot data add, or the built-in letters
  kshot init shop --images groceries.zip          with the images, and settings that fit them

With --images nothing is left behind where the images cannot be used.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `init` to the command line."""
    top = verbs.add_parser("init", help="make a project of your own", description=DESCRIPTION)
    top.add_argument("name", metavar="NAME", help="a folder that is new or empty; its last part names the project")
    top.add_argument("--images", metavar="SOURCE", help="what `kshot data add` takes: a folder or an archive, ...")
    top.add_argument("--skip", action="store_true", help="leave out what cannot be taken, also whole classes")
    fit_settings.add_start(top)
    top.set_defaults(run=run, outside=True)


def run(here: Path, options: argparse.Namespace) -> int:
    """Write the project, with --images also its data and settings, and print the next steps."""
    import shlex

    from kshot.lifecycle.project import new_project

    root = here / options.name
    if options.images is None:
        notes = new_project.make(root)
        print("\n".join([*notes, f"project {root.name} is in {root}", "", f"  cd {shlex.quote(options.name)}"]))
        print("  kshot retrain     on the built-in letters; on your own images after: kshot data add FOLDER")
        return 0
    from kshot.lifecycle.sources.source_argument import check_exists

    check_exists(options.images)
    missing: list[Exception] = []
    notes = new_project.make(root, lambda: missing.extend(_fill(root, options)))
    print("\n".join([*notes, "", f"project {root.name} is in {root}; its first commit holds these settings"]))
    if missing:
        from kshot.lifecycle.settings_fit.fitted_settings import NoWeights

        raise NoWeights(
            f"{missing[0]}; the images are in the project, its settings are not fitted: "
            f"cd {shlex.quote(options.name)} && kshot fit-settings --yes"
        )
    print(f"\n  cd {shlex.quote(options.name)} && kshot retrain")
    return 0


def _fill(root: Path, options: argparse.Namespace) -> list[Exception]:
    """Add the images and write the settings that fit them; returns the errors that prevented the fit."""
    import shlex

    from kshot.lifecycle.data.changes import add_version
    from kshot.lifecycle.params_file import settings
    from kshot.lifecycle.project import project_lock
    from kshot.lifecycle.project.tables import counted
    from kshot.lifecycle.settings_fit import proposal
    from kshot.lifecycle.settings_fit.fitted_settings import NoWeights
    from kshot.lifecycle.source_files.shown_names import printable

    again = f"kshot init {shlex.quote(options.name)} --images {shlex.quote(options.images)}"
    with project_lock.hold(root, "kshot init"):
        start = proposal.start_of(root, options.weights, options.backbone, from_scratch=options.from_scratch)
        given = add_version.AddOptions(skip=options.skip, command=again)
        version = add_version.add(root, options.images, given, say=lambda line: print(line, flush=True))
        images, classes = counted(version.images, "image"), counted(version.classes, "class")
        print(f"data version {version.short}: {images}, {classes} from {printable(version.source)}\n", flush=True)
        try:
            found = proposal.propose(root, start)
        except NoWeights as error:
            proposal.note_not_fitted(root)
            return [error]
        print("\n".join(proposal.lines(found)))
        settings.write(root, found.text)
    return []
