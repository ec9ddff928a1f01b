"""Distinguishes two projects with the same name by the first commit of their git repository, which clones share."""

from pathlib import Path

from kshot.lifecycle.project import git

SETTING = "kshot.project"  # in git's configuration: the old first commit, after the git history was restarted


def first_commits(root: Path) -> frozenset[str]:
    """The commits without a parent among HEAD's ancestors, and the one in SETTING.

    Empty if git cannot tell: without git or a commit, and in a shallow clone, which ends at any commit.
    """
    try:
        if git.text(root, "rev-parse", "--is-shallow-repository").strip() == "true" or not git.commit(root):
            return frozenset()
        found = git.text(root, "rev-list", "--max-parents=0", "HEAD").split()
        named = git.text(root, "config", "--get", SETTING, fine=(0, 1)).split()
    except git.GitFailed:
        return frozenset()
    return frozenset({*found, *named})


def another(name: str, where: str, theirs: str, ours: frozenset[str]) -> str:
    """The message about a project of this name whose repository began with another commit."""
    return (
        f"another project called {name} is at {where} (its repository begins with commit {theirs[:12]}, this one with "
        f"{min(ours)[:12]}), and nothing was written; choose another name in params.yaml: project: NAME (or, where it "
        f"is this project with a restarted git history: git config {SETTING} {theirs})"
    )
