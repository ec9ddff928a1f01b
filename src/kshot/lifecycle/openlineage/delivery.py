"""Delivers OpenLineage events to the file or the address that KSHOT_OPENLINEAGE names."""

import json
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kshot.lifecycle.project import layout

NAME, KEY = "KSHOT_OPENLINEAGE", "OPENLINEAGE_API_KEY"
ENDPOINT = "/api/v1/lineage"  # of OpenLineage's own clients, where an address names no path
TIMEOUT_S = 5.0
WORKTREE = (layout.STATE.name, "worktree")  # where scheduled retrainings run


def place() -> str:
    """The file or the address, '' for none: no event is made then."""
    return os.environ.get(NAME, "").strip()


def deliver(event: dict[str, Any], root: Path) -> None:
    """Append the event to the file as one line, or send it to the address. Raises OSError.

    A file's path is relative to the project at `root`, or to the project that a worktree at `root` belongs to.
    """
    where = place()
    text = json.dumps(event, ensure_ascii=False)
    if where.startswith(("http://", "https://")):
        _post(where, text.encode())
        return
    path = _home(root) / Path(where).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _home(root: Path) -> Path:
    """The project itself: its worktree lies in it, also where both are subfolders of their repositories."""
    return next((place.parents[1] for place in (root, *root.parents) if place.parts[-2:] == WORKTREE), root)


def _post(address: str, body: bytes) -> None:
    if urlsplit(address).path in ("", "/"):
        address = address.rstrip("/") + ENDPOINT
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY, ""):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(address, body, headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass  # a response of 400 or more raises
