"""Names of a project's deployments at a Prefect server, which other projects may share."""

from pathlib import Path

from kshot.flows.deployment_holder import holder_tag
from kshot.lifecycle.tracking.first_commits import first_commits
from kshot.params import project_name

BY_TIME, BY_DATA, ANSWER = "scheduled", "new-data", "answer"
OWNER = "first-commit:"  # prefix of the tag that distinguishes two projects with the same name


def deployment_name(root: Path, kind: str) -> str:
    """The name of the deployment `kind` of the project at `root`, such as shop-scheduled.

    For a project named kshot it is the kind alone, as at the servers of older projects.
    """
    name = project_name.of(root)
    return kind if name == project_name.BEFORE else f"{name}-{kind}"


def kinds(root: Path) -> dict[str, str]:
    """The kind of each deployment of the project, by its name."""
    return {deployment_name(root, kind): kind for kind in (BY_TIME, BY_DATA, ANSWER)}


def tags(root: Path) -> list[str]:
    """The tags of the deployments and of their runs: the project's name, its first commit, and the folder it is in."""
    ours = first_commits(root)
    return [project_name.of(root), *([f"{OWNER}{min(ours)}"] if ours else []), holder_tag(root)]
