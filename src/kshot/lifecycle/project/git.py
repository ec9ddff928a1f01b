"""Runs git so that a person's settings, hooks, pager and language do not change its output."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from kshot import full_disk
from kshot.errors import KshotError

# Settings that would change a command's output or effect. `git diff` needs DIFF too, as some have no setting.
SETTINGS = (
    "color.ui=never",
    "core.fsmonitor=false",  # a program that the person configured
    "core.hooksPath=/dev/null",  # `dvc install` adds a checkout to post-checkout
    "core.quotePath=false",
    "diff.ignoreSubmodules=none",
    "diff.interHunkContext=0",
    "diff.mnemonicPrefix=false",
    "diff.noprefix=false",
    "diff.orderFile=/dev/null",
    "diff.relative=false",
    "diff.submodule=short",
    "apply.whitespace=nowarn",
    "apply.ignoreWhitespace=no",
    "status.showUntrackedFiles=normal",
)
DIFF = ("diff", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--unified=3")
# Set inside a git hook, for example: they would point every command to another repository, index or object store.
FOREIGN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
# Reading takes no lock that another git command may need, and nothing asks for a password.
FIXED = {"LC_ALL": "C", "LANGUAGE": "", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
# refs/replace would show other content under the hash of a commit, also of an anchor that a remote confirms.
FIXED |= {"GIT_NO_REPLACE_OBJECTS": "1"}


class GitFailed(KshotError):
    """A git command that failed. `reason` is git's own message, `code` its exit code, -1 if there is no git."""

    def __init__(self, command: str, reason: str, code: int) -> None:
        whole = isinstance(self, (NoGit, NoRepository, NoRoom))  # sentences of kshot's own
        super().__init__(reason if whole else f"git {command} failed: {reason}")
        self.command, self.reason, self.code = command, reason, code


class NoGit(GitFailed):
    """The program git is not installed."""


class NoRepository(GitFailed):
    """The folder is not in a git repository."""


class NoRoom(GitFailed):
    """The disk is full."""


def run(
    root: Path,
    *arguments: str,
    fine: tuple[int, ...] = (0,),
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float | None = None,
) -> bytes:
    """The output of `git ARGUMENTS` in the folder `root`. Raises GitFailed for an exit code that is not `fine`.

    `timeout_s`: for a command that contacts a remote; then git and its children are killed and GitFailed is raised.
    """
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    ours = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    try:
        process = subprocess.Popen(
            ["git", "--no-pager", *settings, *arguments],
            cwd=root,
            env={**ours, **FIXED, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=timeout_s is not None,  # ssh and the helpers of https outlive a git that is killed
        )
    except FileNotFoundError as error:
        if not root.is_dir():
            raise
        reason = "there is no git on this machine (or not on PATH); install it, then run the same command"
        raise NoGit(_verb(arguments), reason, -1) from error
    with process:
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise GitFailed(_verb(arguments), f"no answer within {timeout_s:.0f} s", -1) from error
        except BaseException:
            process.kill()
            raise
    if process.returncode in fine:
        return out
    said = err.decode(errors="replace")
    kind = NoRepository if "not a git repository" in said else GitFailed
    # Git seldom says why it could not write a file.
    if kind is GitFailed and (full_disk.says_full(said) or full_disk.no_room(root)):
        command = _verb(arguments)
        reason = f"the disk is full (git {command}); free some space and run the same command again"
        raise NoRoom(command, reason, process.returncode)
    reason = why(said, process.returncode)
    if kind is NoRepository:
        reason = f"{root} is in no git repository; run `git init` here and commit, then the same command"
    raise kind(_verb(arguments), reason, process.returncode)


def text(root: Path, *arguments: str, fine: tuple[int, ...] = (0,)) -> str:
    """`run` as text; bytes that are not UTF-8 are decoded as Python does for file names."""
    return os.fsdecode(run(root, *arguments, fine=fine))


def commit(root: Path) -> str:
    """The commit that is checked out, '' if there is none yet. Raises GitFailed if git cannot say."""
    text(root, "rev-parse", "--git-dir")  # a repository that git refuses must not pass for an empty one
    return text(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", fine=(0, 1)).strip()


def why(stderr: str, code: int) -> str:
    """Git's own reason, on one line: its last fatal or error line with the command it suggests, else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    failures = [line.partition(":")[2].strip() for line in lines if line.startswith(("fatal:", "error:"))]
    advised = [line for line in lines if line.startswith("git ")]
    if failures and advised:
        failures[-1] += f"; needs: {advised[0]}"
    return " ".join((failures[-1] if failures else lines[-1] if lines else f"exit code {code}").split())


def _verb(arguments: tuple[str, ...]) -> str:
    return next((one for one in arguments if not one.startswith("-")), "")
