"""`kshot plan`: shows what a retraining would do now, why, and how long it is likely to take."""

import argparse
from pathlib import Path
from typing import Any

from kshot.lifecycle.pipeline.schedule import duration

NOT_KNOWN = "first run: nothing has run here yet, so its time is not known; `kshot retrain` shows it stage by stage"
WORDS = {"unchanged": "unchanged", "restored": "restored", "runs": "runs", "follows": "runs if needed"}

DESCRIPTION = """\
Show for each stage whether `kshot retrain` would run it, which data, settings
or code changed, and the estimated time: from earlier runs or, before the
first run, by timing the network on some of the images. Runs no stage and
changes nothing.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `plan` to the command line."""
    about = "show which stages a retraining would run, why, and for how long"
    top = verbs.add_parser("plan", help=about, description=DESCRIPTION)
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print one line a stage, and the total."""
    from kshot.lifecycle.params_file import old_names, settings
    from kshot.lifecycle.pipeline import plan
    from kshot.lifecycle.project.tables import facts
    from kshot.params.schema import load_params

    load_params(root / settings.PARAMS)  # a retraining would refuse them, and DVC names no cause
    if line := old_names.notice(root):
        print(line)
    data = plan.data_reason(root)
    if data:
        print(data)
    steps = plan.plan(root)
    print("\n".join(facts([line for step in steps for line in _lines(step)])))
    if line := plan.resolved_text(root, steps):
        print(line)
    print(_sum(root, steps))
    return 0


def _lines(step: Any) -> list[tuple[str, str]]:
    """The lines of a stage: whether it runs, its duration and first reason; the other reasons below."""
    took = "" if step.outlook in ("unchanged", "restored") else _about(step.seconds)
    first, *others = step.reasons or ("",)
    what = f"{step.stage:<9} {WORDS[step.outlook]:<15}{took}"
    return [(what, first), *(("", reason) for reason in others)]


def _sum(root: Path, steps: list[Any]) -> str:
    at_work = [step for step in steps if step.outlook in ("runs", "follows")]
    if not at_work:
        return "nothing would be trained: the results of these inputs are here already"
    unknown = [step.stage for step in at_work if step.seconds is None]
    total = duration(sum(step.seconds or 0 for step in at_work))
    if len(unknown) == len(at_work):
        return _first_run(root)
    return f"about {total}" + (f", and {', '.join(unknown)}, which never ran here" if unknown else " of work")


def _first_run(root: Path) -> str:
    from kshot.lifecycle.pipeline import durations, first_run

    found = first_run.expected(root)
    if found is None:
        return NOT_KNOWN
    images, seconds = found
    about = durations.readable(round(seconds, -1) if seconds < 300 else 60 * round(seconds / 60))
    return f"first run: about {about} for {images:,} images, by timing {min(images, first_run.IMAGES)} of them here"


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f"~{duration(max(1, seconds))}"
