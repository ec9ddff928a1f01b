"""Uncommitted changes of the working tree: which of them are stored with a run, and which are left out.

Only files that match a pattern of `record.code` in params.yaml are stored, because any other file may contain a
password. Files that git ignores are neither stored nor named.
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
# Files that kshot itself writes into the tree; the run stores them, so they do not make a tree dirty.
OWN_FILES = (
    LOCK_FILE,
    layout.RAW_DVC.as_posix(),
    layout.VERSIONS.as_posix(),
    layout.NAMES.as_posix(),
    layout.ERASURES.as_posix(),
    f"{layout.RAW.parent}/.gitignore",
    layout.MLRUNS.as_posix(),  # a link, in the worktree of a scheduled retraining
)
CODE = ("*.py", "*.pyx", "dvc.yaml", "params.yaml", "pyproject.toml")  # if params.yaml has no record.code
LARGEST_NEW_FILE = 1 << 20  # bytes; a larger file is not code


@dataclass(frozen=True)
class Uncommitted:
    """The uncommitted changes.

    patch     the stored part, for `git apply` at the top of the repository
    left_out  changed or new files that are not in it, relative to the project
    """

    patch: bytes = b""
    left_out: tuple[str, ...] = ()


def code_patterns(root: Path) -> tuple[str, ...]:
    """The patterns of `record.code`; the default if params.yaml is unreadable or has none, which others report."""
    try:
        found = read_mapping(root / "params.yaml")["record"]["code"]
    except (KshotError, OSError, KeyError, TypeError):
        return CODE
    return tuple(map(str, found)) if isinstance(found, list) else CODE


def is_dirty(root: Path) -> bool:
    """Whether a tracked file differs from the commit, or there is new code. Raises GitFailed.

    Files that kshot itself writes do not count.
    """
    return bool(changed_files(root))


def changed_files(root: Path) -> list[str]:
    """The tracked files that differ from the commit and the new code, none that kshot writes. Raises GitFailed."""
    patterns = code_patterns(root)
    return [*_changed(root), *(name for name in _new(root) if _is_code(root, name, patterns))]


def difference(root: Path) -> Uncommitted:
    """The difference of the tree from its commit. Raises GitFailed."""
    patterns, changed, new = code_patterns(root), _changed(root), _new(root)
    fresh = [name for name in new if _is_code(root, name, patterns)]
    stored = [name for name in changed if _matches(name, patterns)] + fresh
    left_out = tuple(sorted({*changed, *new} - set(stored)))
    return Uncommitted(_patch(root, stored, fresh) if stored else b"", left_out)


def _patch(root: Path, names: Sequence[str], fresh: Sequence[str]) -> bytes:
    """The patch of these files. New ones are added to a temporary index, so that one command shows all."""
    index = root / git.text(root, "rev-parse", "--git-path", "index").strip()
    with tempfile.TemporaryDirectory() as scratch:
        own = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        if index.exists():
            shutil.copy2(index, own["GIT_INDEX_FILE"])  # with its modification time, which git relies on
        if fresh:
            git.run(root, "add", "--intent-to-add", "--", *fresh, env=own)
        prefixes = ("--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
        return git.run(root, *git.DIFF, *prefixes, "HEAD", "--", *names, env=own)


def _changed(root: Path) -> list[str]:
    """The tracked files of the project that differ from the commit, except those that kshot itself writes."""
    found = git.text(root, *git.DIFF, "--name-only", "--no-renames", "--relative", "-z", "HEAD", "--", ".")
    return [name for name in found.split("\0") if name and not _is_own(name)]


def _new(root: Path) -> list[str]:
    """The files of the project that are neither tracked nor ignored."""
    found = git.text(root, "ls-files", "-z", "--others", "--exclude-standard", "--", ".")
    return [name for name in found.split("\0") if name and not _is_own(name)]


def _is_own(name: str) -> bool:
    return name in OWN_FILES or PurePosixPath(name).parent == PurePosixPath(layout.FINGERPRINTS)


def _is_code(root: Path, name: str, patterns: Sequence[str]) -> bool:
    """Whether a new file is code. A dangling link, such as an editor's lock, is not."""
    if not _matches(name, patterns):
        return False
    try:
        return (root / name).stat().st_size <= LARGEST_NEW_FILE
    except OSError:
        return False  # or the file was deleted meanwhile


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches the file: its whole path for a pattern with a slash, else its last part."""
    path = PurePosixPath(name)
    return any(fnmatchcase(name if "/" in pattern else path.name, pattern) for pattern in patterns)
