"""The difference of the working tree from its commit: what of it is stored with a run, and what is left out.

Only files that a pattern of `record.code` in params.yaml names are stored, because any other may hold a password. What
git ignores is neither stored nor named.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from kshot.errors import KshotError
from kshot.lifecycle.project import git, layout
from kshot.lifecycle.project.layout import LOCK_FILE
from kshot.params.reader import read_mapping

PATCH, LEFT_OUT = "uncommitted.diff", "uncommitted.left_out"  # files of a run
# What kshot itself writes in a commit's tree; the record holds these files, so that they do not make a tree dirty.
OWN_FILES = (
    LOCK_FILE,
    layout.RAW_DVC.as_posix(),
    layout.VERSIONS.as_posix(),
    layout.NAMES.as_posix(),
    f"{layout.RAW.parent}/.gitignore",
    layout.MLRUNS.as_posix(),  # a link, in the worktree of a scheduled retraining
)
CODE = ("*.py", "*.pyx", "dvc.yaml", "params.yaml", "pyproject.toml")  # where params.yaml has no record.code
LARGEST_NEW_FILE = 1 << 20  # bytes; what is larger is no code


@dataclass(frozen=True)
class Uncommitted:
    """What no commit holds.

    patch     the stored part, for `git apply` at the top of the repository
    left_out  the files that changed or are new and are not in it, relative to the project
    """

    patch: bytes = b""
    left_out: tuple[str, ...] = ()


def code_patterns(root: Path) -> tuple[str, ...]:
    """The patterns of `record.code`; the default where params.yaml cannot be read or has none, which others report."""
    try:
        found = read_mapping(root / "params.yaml")["record"]["code"]
    except (KshotError, OSError, KeyError, TypeError):
        return CODE
    return tuple(map(str, found)) if isinstance(found, list) else CODE


def is_dirty(root: Path) -> bool:
    """Whether a tracked file differs from the commit, or there is new code. Raises GitFailed.

    What kshot writes itself does not count.
    """
    patterns = code_patterns(root)
    return bool(_changed(root)) or any(_is_code(root, name, patterns) for name in _new(root))


def difference(root: Path) -> Uncommitted:
    """The difference of the tree from its commit. Raises GitFailed."""
    patterns, changed, new = code_patterns(root), _changed(root), _new(root)
    fresh = [name for name in new if _is_code(root, name, patterns)]
    stored = [name for name in changed if _matches(name, patterns)] + fresh
    left_out = tuple(sorted({*changed, *new} - set(stored)))
    return Uncommitted(_patch(root, stored, fresh) if stored else b"", left_out)


def _patch(root: Path, names: Sequence[str], fresh: Sequence[str]) -> bytes:
    """The patch of these files. New ones are known to git in an index of its own, so that one command shows all."""
    index = root / git.text(root, "rev-parse", "--git-path", "index").strip()
    with tempfile.TemporaryDirectory() as scratch:
        own = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        if index.exists():
            shutil.copy2(index, own["GIT_INDEX_FILE"])  # with its time, by which git trusts its entries
        if fresh:
            git.run(root, "add", "--intent-to-add", "--", *fresh, env=own)
        prefixes = ("--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
        return git.run(root, *git.DIFF, *prefixes, "HEAD", "--", *names, env=own)


def _changed(root: Path) -> list[str]:
    """The tracked files of the project that differ from the commit, but for what kshot writes itself."""
    found = git.text(root, *git.DIFF, "--name-only", "--no-renames", "--relative", "-z", "HEAD", "--", ".")
    return [name for name in found.split("\0") if name and not _is_own(name)]


def _new(root: Path) -> list[str]:
    """The files of the project that git neither tracks nor ignores."""
    found = git.text(root, "ls-files", "-z", "--others", "--exclude-standard", "--", ".")
    return [name for name in found.split("\0") if name and not _is_own(name)]


def _is_own(name: str) -> bool:
    return name in OWN_FILES or PurePosixPath(name).parent == PurePosixPath(layout.FINGERPRINTS)


def _is_code(root: Path, name: str, patterns: Sequence[str]) -> bool:
    """Whether a new file is code. A link that leads nowhere, such as an editor's lock, is none."""
    if not _matches(name, patterns):
        return False
    try:
        return (root / name).stat().st_size <= LARGEST_NEW_FILE
    except OSError:
        return False  # or it went meanwhile


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern names the file: one with a slash its whole path, one without the last part."""
    path = PurePosixPath(name)
    return any(fnmatchcase(name if "/" in pattern else path.name, pattern) for pattern in patterns)
