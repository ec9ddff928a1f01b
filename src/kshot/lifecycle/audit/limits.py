"""Limits of a model's audit: printed by `kshot audit --limits`, and listed in docs/audit.md."""

import textwrap

LIMITS = {
    "machine": (
        "Python, kshot, git, DVC and MLflow as they are installed where the audit runs. Whoever can change them can "
        "change what it prints: audit on a machine of your own, from a clone."
    ),
    "loading": (
        "What runs when MLflow itself loads the model (mlflow.pyfunc.load_model, mlflow models serve): it executes "
        "the model's code first, and the check inside that code can only find accidents. kshot checks before it "
        "runs anything (compare, drift, tasks, retrain, promote, approve, rollback): run `kshot audit` before you "
        "serve."
    ),
    "running": "A server that loaded the model earlier: its memory is not checked.",
    "packages": "The content of installed packages: a model names them by version and not by hash.",
    "later files": (
        "Files that were put into the run after its model was registered, such as report.html. Evidence of a "
        "decision is checked, because its event names it by hash."
    ),
    "notes": (
        "Descriptions, curves over the steps, data set notes, stages, and tags and aliases that are not kshot's, in "
        "MLflow, and run tags that are on no version."
    ),
    "by size": (
        "Without --deep, the content of the data in DVC's cache: only that it is there, with its size. Objects that "
        "only a remote holds are never fetched."
    ),
    "between": (
        "What stages wrote for each other (data/packed, data/split, data/embedded) in DVC's cache, and whether the "
        "stages really computed what they wrote: `kshot reproduce` does it again."
    ),
    "other code": (
        "Templates of pages that a stage reads in addition to its Python code, and files that the stored difference "
        "left out."
    ),
    "folder": "The working folder: data/raw, model/, reports/, dvc.lock and params.yaml as they lie there now.",
    "source": "Whether images and labels are right, and whether they came from where the ledger says.",
    "persons": (
        "Whether a person is who they say: name, user and machine are recorded as the machine gives them, and a "
        "signature shows whose key was used. Events of the gate are not signed."
    ),
    "clocks": (
        "Whether the clock was right when something was recorded, and the times that MLflow keeps of runs and "
        "versions: those of decisions are in the events."
    ),
    "unpushed": (
        "A rewrite of both the database and this repository's refs, where no remote has the anchor. With a remote, "
        "--deep asks it what it anchors; events after the last push are anchored only here."
    ),
    "pages": "Prefect's records: flow runs, logs, links.",
}


def limits_text(width: int) -> str:
    """The list of limits, wrapped for a terminal of `width` columns."""
    lines = ["An audit does not check:", ""]
    for text in LIMITS.values():
        lines += textwrap.wrap(text, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)
