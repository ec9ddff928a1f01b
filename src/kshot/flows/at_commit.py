"""A retraining at one commit: in a git worktree, with that commit's own code, whatever is edited in the project.

This file only creates the worktree and imports nothing of kshot: the process then imports kshot and the flow from the
worktree, so that the commit of a model is exactly the code that made it.
"""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from prefect import flow, runtime
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelled

HERE = "HEAD"
WORKTREE = Path(".kshot/worktree")
GUARD = Path(".kshot/scheduled.lock")  # locked by the current run, with its id inside; the kernel releases it
HOLD_NOTHING = {"kshot", "kshot.flows", "kshot.flows.at_commit"}  # packages without code, and this file
# As in kshot.lifecycle.project.git, which cannot be imported here: messages in one language, no inherited git index.
FIXED = {"LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0"}
FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
SERVED = "KSHOT_SERVED_PROJECT"  # in the environment of `kshot schedule` and its runs: the only folder they may use
USER = re.compile(r"://[^/@\s]*@")  # a remote's password; kshot.redaction must not be imported yet
SKIPPED = "skipped"  # first word of the reason of a run that was skipped for another


class CommitError(Exception):
    """The commit or its worktree is not available."""


def tell_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Notify the addresses in KSHOT_NOTIFY of a failed retraining."""
    from kshot import plugins
    from kshot.flows import notify

    plugins.use_project(Path(flow_run.parameters["project"]))  # whose notifiers are used
    for trouble in notify.failed(flow_run.name, state.message or state.name):
        flow_run_logger(flow_run, flow).warning(trouble)


@flow(name="retrain", on_failure=[tell_failure], on_crashed=[tell_failure])
def retrain_at_commit(
    project: str,
    ref: str = HERE,
    data: str | None = None,
    settings: list[str] | None = None,
    overlap: Literal["wait", "skip"] = "wait",
) -> Any:
    """Retrain `project` at the commit that `ref` names now, with lines of `settings` like train.steps=500.

    `data`: a data version; None: the project's own with ref HEAD, else the commit's. While another scheduled retraining
    is running, this one waits or is skipped (Cancelled), depending on `overlap`.
    """
    home = Path(project).resolve()
    if os.environ.get(SERVED, str(home)) != str(home):
        raise CommitError(f"{home} is not the project that is served here, {os.environ[SERVED]}; serve it there")
    with alone(home, overlap == "wait") as other:
        if other:
            return Cancelled(message=f"{SKIPPED}: the scheduled retraining {other} was going on")
        commit = resolve(home, ref)
        with checked_out(home, commit) as tree:
            use_code_of(tree)
            retrain = flow_of(tree)
            from kshot.lifecycle.pipeline import worktree

            get_run_logger().info(f"works at commit {commit[:12]} ({ref}), in a worktree of its own")
            worktree.prepare(home, tree, data=data, from_commit=ref != HERE, sets=settings or [])
            try:
                retrain.fn(root=str(tree))
            finally:  # the validation report of rejected data is worth keeping too
                try:
                    worktree.bring_back(home, tree)
                except OSError as error:  # the retraining is decided, or raises its own error
                    get_run_logger().warning(f"the report was not copied to {worktree.BROUGHT_BACK}: {error}")
    return None


@contextmanager
def alone(home: Path, wait: bool) -> Iterator[str]:
    """Hold the lock for scheduled retrainings; yields '', or without `wait` the id of the run that holds it."""
    path = home / GUARD
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8") as file:
        reported = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                other = path.read_text(encoding="utf-8") or "that has just begun"
            # A command that deletes files holds the lock too, with its name as JSON: it is no retraining to skip for.
            command = other.startswith("{")
            if not wait and not command:
                yield other
                return
            if not reported:
                named = json.loads(other).get("command") if command else f"the scheduled retraining {other}"
                get_run_logger().info(f"waits for {named}")
                reported = True
            time.sleep(1)
        file.truncate(0)
        file.write(str(runtime.flow_run.id))
        file.flush()
        try:
            yield ""
        finally:
            file.truncate(0)


def resolve(home: Path, ref: str) -> str:
    """The full hash of the commit that `ref` names; a remote's branch is fetched first. Raises CommitError."""
    remotes = git(home, "remote").split()
    remote = ref.split("/")[0]
    if "/" in ref and remote in remotes:
        git(home, "fetch", "--quiet", remote, tries=3)
    try:
        return git(home, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()
    except CommitError as error:
        if not git(home, "rev-parse", "--is-inside-work-tree").strip():
            raise
        raise CommitError(
            f"{ref!r} is no commit of {home}; needs a branch, a tag or a hash that `git log` shows there"
        ) from error


@contextmanager
def checked_out(home: Path, commit: str) -> Iterator[Path]:
    """A detached worktree at `commit` for a block; removes leftovers of a killed run first.

    Yields the project's folder in it, which is not the top where the project is a subfolder of its repository.
    """
    tree = home.resolve() / WORKTREE
    remove(home, tree)
    git(home, "worktree", "add", "--quiet", "--detach", "--force", str(tree), commit)
    try:
        project = tree / git(home, "rev-parse", "--show-prefix").strip()
        if not project.is_dir():
            raise CommitError(f"commit {commit[:12]} has no folder {project.relative_to(tree)}; commit it first")
        yield project
    finally:
        remove(home, tree)


def remove(home: Path, tree: Path) -> None:
    """Remove a worktree, and the links in it but not their targets."""
    if tree.exists():
        try:
            git(home, "worktree", "remove", "--force", "--force", str(tree))
        except CommitError:
            subprocess.run(["rm", "-rf", "--", str(tree)], check=True)
    git(home, "worktree", "prune")


def use_code_of(tree: Path) -> None:
    """Make this process and its stages import kshot from `tree`. Raises CommitError if that kshot is too old."""
    loaded = {name for name in sys.modules if name.split(".")[0] == "kshot"}
    assert loaded <= HOLD_NOTHING, f"imported before the worktree was there: {loaded - HOLD_NOTHING}"
    for name in loaded:
        del sys.modules[name]
    if (tree / "src/kshot").is_dir() and not (tree / "src/kshot/flows").is_dir():
        raise CommitError("that commit has an older kshot, whose flows lie elsewhere; name a newer commit")
    folders = [str(tree / "src")]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])


def flow_of(tree: Path) -> Any:
    """The flow of the project in `tree`, loaded with the imported kshot, which may be the commit's older one."""
    try:
        from kshot.flows import project_flow
    except ImportError:
        from kshot.flows.retrain import retrain

        return retrain
    return project_flow.load(tree)


def git(home: Path, *arguments: str, tries: int = 1) -> str:
    """The output of a git command. Raises CommitError with git's last line after `tries` attempts, 10 seconds apart."""
    ours = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command, env = ["git", "-c", "core.hooksPath=/dev/null", *arguments], {**ours, **FIXED}
    for left in reversed(range(tries)):
        try:
            ended = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise CommitError("there is no git on this machine (or not on PATH); install it, then try again") from error
        if ended.returncode == 0:
            return ended.stdout
        if left:
            time.sleep(10)
    why = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
    if "not a git repository" in ended.stderr:  # not always in the last line: a file system may end above the folder
        why = f"{home} is no git repository; needs one with a commit: git init && git add . && git commit"
    raise CommitError(USER.sub("://***@", why))
