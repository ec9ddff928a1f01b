"""Checks the nodes of a Ray cluster before work goes there: each sees the project's files, and has this kshot."""

import hashlib
import os
import platform
import secrets
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import kshot
from kshot.errors import ParamsError

ANSWER_IN = 180.0  # seconds: a node first starts a process for the question
ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Installed:
    """The properties that must be equal on all nodes, or a record would name code that did not run.

    kshot: a hash of the package's files; torch and python: their versions.
    """

    kshot: str
    torch: str
    python: str


def require_alike(ray: ModuleType, folder: Path) -> None:
    """Raise ParamsError that names the first node which does not see `folder`, or has another kshot, torch or Python.

    `folder` exists and can be written; a file is there for the time of the question. A node that is lost meanwhile, or
    was lost before and that Ray still lists, is left out.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    token = secrets.token_hex(8)
    file = folder.resolve() / f"ray-{os.getpid()}-{token}"
    file.write_text(token, encoding="utf-8")
    # Ray asks a second time by itself if a process crashes, which is how a node that is being lost may look.
    ask = ray.remote(num_cpus=0, max_retries=1)(seen_here)
    deadline = time.monotonic() + ANSWER_IN
    nodes = _alive(ray)
    try:
        while nodes:
            there = {node: NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes}
            tasks = {ask.options(scheduling_strategy=there[node]).remote(str(file)): node for node in nodes}
            answered, silent = ray.wait(list(tasks), num_returns=len(tasks), timeout=_left(deadline))
            for reference in silent:
                raise ParamsError(
                    f"node {nodes[tasks[reference]]} of the Ray cluster did not answer in {ANSWER_IN:.0f} s; remove "
                    "it, or free its memory and processors"
                )
            out_of_reach = [
                tasks[reference]
                for reference in answered
                if not _is_alike(ray, reference, nodes[tasks[reference]], token, file.parent, deadline)
            ]
            # Ray lists a node that was lost as alive until its health check has failed, up to a minute.
            time.sleep(ASK_AGAIN_S if out_of_reach else 0)
            nodes = {node: address for node, address in _alive(ray).items() if node in out_of_reach}
    finally:
        file.unlink(missing_ok=True)


def _alive(ray: ModuleType) -> dict[str, str]:
    """Address by id of each node that Ray calls alive."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)


def _is_alike(ray: ModuleType, reference: object, node: str, token: str, folder: Path, deadline: float) -> bool:
    """Raise ParamsError if the node sees or has something else; False if Ray cannot reach it, until the deadline."""
    try:
        read, other = ray.get(reference)
    except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError) as error:
        if _left(deadline):
            return False
        raise ParamsError(
            f"Ray lists node {node} of the cluster as alive, but could not reach it for {ANSWER_IN:.0f} s; restart "
            "Ray on that node, or remove it"
        ) from error
    except ray.exceptions.RayError as error:
        first = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise ParamsError(
            f"node {node} of the Ray cluster cannot run kshot ({first.strip()}); install there what is installed here"
        ) from error
    if read != token:
        raise ParamsError(
            f"node {node} of the Ray cluster does not see {folder}; every node needs the project's folder at the same "
            "path, on one file system that they share"
        )
    own = installed_here()
    for name in ("kshot", "torch", "python"):
        there, here = getattr(other, name), getattr(own, name)
        if there != here:
            raise ParamsError(
                f"node {node} of the Ray cluster has another {name}: {there} instead of {here}; install there what is "
                "installed here, or a record would name code that did not run"
            )
    return True


def seen_here(file: str) -> tuple[str, Installed]:
    """The task on a node: the content of `file`, '' if the node does not see it, and what is installed."""
    try:
        read = Path(file).read_text(encoding="utf-8")
    except OSError:
        read = ""
    return read, installed_here()


def installed_here() -> Installed:
    """The code and packages of this process."""
    package = Path(kshot.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return Installed(digest.hexdigest()[:12], metadata.version("torch"), platform.python_version())
