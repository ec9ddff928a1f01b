"""`kshot tasks`: compares tasks in the model's space: difficulty, distances, outliers."""

import argparse
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError

DESCRIPTION = """\
Compare whole tasks in the space of the project's model. Without SOURCE these are the project's
own: its groups, such as alphabets, or sets of classes where it has none. SOURCE is what
`kshot data add` takes; it is read and not added: each of its groups is a task.

  classes, shots       the number of classes of a task, and of images of each class; of the project's
                       own tasks as a protocol, such as 5w1s
  predicted, measured  the accuracy on further images of its classes: predicted from the task's own
                       images, and measured
  outlyingness         the distance of its classes from the training classes, 1 for validation classes;
                       with the limit that validation tasks set
  nearest known task   a task of the project, with its distance; the page and --json have more

The map is drawn in reports/tasks.html. docs/tasks.md has the formulas and what was measured.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `tasks` to the command line."""
    top = verbs.add_parser(
        "tasks",
        help="map tasks: difficulty, distances, and whether they are outside the training range",
        description=DESCRIPTION,
    )
    top.add_argument(
        "source", nargs="?", metavar="SOURCE", help="folder, archive, manifest, or the word glyphs; not added"
    )
    top.add_argument(
        "--shots", type=int, default=5, metavar="N", help="images a class of the project's own tasks (default 5)"
    )
    top.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE too")
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print the tasks, and draw them in reports/tasks.html."""
    if options.shots < 1:
        raise ParamsError(f"--shots is {options.shots}; needs at least 1 image a class")
    from kshot.lifecycle.sources.source_argument import check_exists

    if options.source is not None:
        check_exists(options.source)  # before the model is looked up, which may be missing too
    from kshot.lifecycle.project import progress
    from kshot.lifecycle.tasks.page import PAGE, write_task_page
    from kshot.lifecycle.tasks.survey import survey, write_json
    from kshot.lifecycle.tasks.text import render_survey
    from kshot.nets.memory import keep_freed_memory
    from kshot.params.schema import load_params

    keep_freed_memory()
    found = survey(root, load_params(root / "params.yaml"), options.source, options.shots)
    progress.clear()
    write_task_page(found, root / PAGE)
    if options.json is not None:
        write_json(found, options.json)
    print(render_survey(found))
    print(f"\n  map           {PAGE.as_posix()}")
    return 0
