"""A temporary git worktree with the project as it was when a version was made: code, settings and data."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from kshot.errors import DataError, NotReproduced
from kshot.lifecycle.audit.links import code
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.data import data_versions, erasures
from kshot.lifecycle.data.changes import restore
from kshot.lifecycle.pipeline import temporary_tree, worktree
from kshot.lifecycle.project import git as git_program
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken, NotRecorded
from kshot.lifecycle.project.layout import LOCK_FILE

NAME = "rebuild-"  # followed by the id of the process that works there
OF_THE_RUN = ("params.yaml", "dvc.yaml")


@contextlib.contextmanager
def as_it_was(subject: Subject) -> Iterator[Path]:
    """The project's folder in a worktree at the version's commit, with the stored changes, settings and data.

    It uses the project's DVC cache and remotes and shares nothing else with it. Raises NotReproduced if something
    that the version was made from is missing.
    """
    try:
        commit, patch = code.source(subject)
    except (Broken, NotRecorded) as error:
        raise NotReproduced(f"version {subject.version} cannot be built again: {error}") from error
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(temporary_tree.detached(subject.root, NAME, commit))
        except git_program.GitFailed as error:
            raise _not_whole(error) from error
        if patch is not None:
            git(place, "apply", "--whitespace=nowarn", str(patch))
        tree = temporary_tree.project_in(subject.root, place)
        _restore_inputs(subject, tree)
        yield tree


def git(root: Path, *arguments: str) -> str:
    """The output of a git command. Raises NotReproduced with git's own reason."""
    try:
        return git_program.text(root, *arguments)
    except git_program.GitFailed as error:
        raise _not_whole(error) from error


def _not_whole(error: git_program.GitFailed) -> NotReproduced:
    of_the_machine = isinstance(error, git_program.NoRoom)
    return NotReproduced(f"{error}{'' if of_the_machine else '; `kshot audit` says whether the record is complete'}")


def _restore_inputs(subject: Subject, tree: Path) -> None:
    """Restore the run's settings and data, and link files of the project that are in no commit."""
    for name in OF_THE_RUN:
        if subject.has(name):
            shutil.copyfile(subject.file(name), tree / name)
    (tree / LOCK_FILE).unlink(missing_ok=True)  # it belongs to the last run at that commit
    (tree / layout.STATE).mkdir(exist_ok=True)
    worktree.share_dvc(subject.root, tree)
    entry = subject.input(layout.RAW.as_posix())
    md5 = str(entry["md5"]).removesuffix(".dir")
    known = next((one for one in data_versions.versions(subject.root) if one.md5 == md5), None)
    source = known.source if known else ""
    version = data_versions.DataVersion(
        md5, "", 0, 0, int(entry.get("nfiles", 0)), int(entry.get("size", 0)), source, ""
    )
    try:
        erasures.require_whole(subject.root, md5)  # the commit of then does not know of a later erasure
        restore.checkout(tree, version, linked=True)
    except DataError as error:
        raise NotReproduced(f"version {subject.version} cannot be built again: {error}") from error
    worktree.link_weights(subject.root, tree)
