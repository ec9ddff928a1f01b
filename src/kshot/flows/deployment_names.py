"""What a project's deployments are called at a Prefect server, which other projects may use too."""

from pathlib import Path

from kshot.lifecycle.project.first_commits import first_commits
from kshot.params import project_name

BY_TIME, BY_DATA, ANSWER = "scheduled", "new-data", "answer"
OWNER = "first-commit:"  # how the tag begins that tells two projects of one name apart


def deployment_name(root: Path, kind: str) -> str:
    """The name of the deployment `kind` of the project at `root`: shop-scheduled.

    Those of kshot bear the bare kind: so they stand at the servers of older projects.
    """
    name = project_name.of(root)
    return kind if name == project_name.BEFORE else f"{name}-{kind}"


def kinds(root: Path) -> dict[str, str]:
    """The name of each deployment of the project to its kind."""
    return {deployment_name(root, kind): kind for kind in (BY_TIME, BY_DATA, ANSWER)}


def tags(root: Path) -> list[str]:
    """The tags of the deployments, and of the runs that they start: the project's name, and its first commit."""
    ours = first_commits(root)
    return [project_name.of(root), *([f"{OWNER}{min(ours)}"] if ours else [])]
