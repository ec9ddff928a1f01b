"""The file `allowed_signers` of a project, as its git has it: names and public keys of the persons who may sign."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kshot.lifecycle.project import git

ALLOWED = "allowed_signers"  # in the project's folder, as ssh-keygen reads it (man ssh-keygen, ALLOWED SIGNERS)


def committed_signers(root: Path) -> bytes | None:
    """The file as the checked-out commit has it, None if it has none or there is no git repository.

    Never the working copy: whoever may edit a file here could then sign. Raises GitFailed if git cannot say, as in a
    folder of another owner: the file may be there.
    """
    try:
        if not git.commit(root) or not git.run(root, "ls-tree", "HEAD", ALLOWED):
            return None
        return git.run(root, "show", f"HEAD:./{ALLOWED}")
    except (git.NoGit, git.NoRepository):
        return None


@contextlib.contextmanager
def committed_file(root: Path) -> Iterator[Path | None]:
    """`committed_signers` as a file for the block, None if there is none. Raises GitFailed."""
    content = committed_signers(root)
    if content is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / ALLOWED
        path.write_bytes(content)
        yield path
