"""Opens the project as DVC's repository, which needs git."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kshot.lifecycle.project import git


@contextlib.contextmanager
def dvc_repository(root: Path) -> Iterator[Any]:
    """DVC's own object of the project at `root`.

    Raises GitFailed, with the remedy, if git refuses the folder (DVC names none), and DvcException for other faults.
    """
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        repo = Repo(str(root))
    except SCMError:
        git.text(root, "rev-parse", "--git-dir")
        raise
    with repo:
        yield repo
