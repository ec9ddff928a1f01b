"""Finds the folder that owns a deployment at a Prefect server: clones of a project share deployment names.

A clone and a copy have the name and the first commit of the original, so that these do not tell them apart. The
identity of the state in .kshot does: a moved project keeps it.
"""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kshot.errors import KshotError
from kshot.lifecycle.project import state_place

HELD = "held-by:"  # prefix of the tag: the identity of the state, the machine and the folder


class Holder(NamedTuple):
    """Who applied a deployment; an older version of kshot recorded the folder alone, the rest is then ''."""

    identity: str
    host: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.folder}{f' on {self.host}' if self.host else ''}"


def holder_tag(root: Path) -> str:
    """The tag of the deployments of the project at `root`."""
    return f"{HELD}{state_place.identity(root)}:{socket.gethostname()}:{root.resolve()}"


def holder_of(tags: Sequence[str], parameters: Mapping[str, Any]) -> Holder | None:
    """Who applied the deployment with these tags and parameters, None if it does not say."""
    for tag in tags:
        if tag.startswith(HELD):
            identity, host, folder = tag.removeprefix(HELD).split(":", 2)
            return Holder(identity, host, Path(folder))
    return Holder("", "", Path(str(parameters["project"]))) if "project" in parameters else None


def is_another(root: Path, found: Holder, is_served: bool) -> bool:
    """Whether another copy of the project than the one at `root` holds the deployment; `is_served`: at this moment.

    False for the project itself, from wherever it was moved, and for a folder of this machine that is gone. A folder of
    another machine cannot be seen from here, and counts as there. A new container of one image has another machine's
    name and a state of its own: the same folder elsewhere is this project, unless that one is served.
    """
    if found.identity and found.identity == state_place.identity(root):
        return False
    if found.host and found.host != socket.gethostname():
        return is_served or found.folder != root.resolve()
    if not found.identity:
        return (found.folder / "params.yaml").is_file() and not found.folder.samefile(root)
    try:
        return state_place.recorded_identity(found.folder) == found.identity
    except (KshotError, OSError):
        return False
