"""The address of the service that runs in a project, by which `kshot gallery` and `feedback` find it on any port."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

FILE = layout.STATE / "serve" / "address.json"
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # all interfaces of a machine, and the one to reach it by from there


def http_address(host: str, port: int) -> str:
    """The URL of a host and port, an IPv6 address in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def recorded(root: Path, host: str, port: int) -> Iterator[None]:
    """Record the address of this process's service meanwhile; of two services, the address of the later one stays."""
    note = json.dumps({"at": http_address(ANY_HOST.get(host, host), port), "process": os.getpid()})
    write_text(root / FILE, note)
    try:
        yield
    finally:
        if _read(root / FILE).get("process") == os.getpid():
            (root / FILE).unlink(missing_ok=True)


def running_at(root: Path) -> str | None:
    """The address of the service that runs in the project at `root`, None if none does."""
    note = _read(root / FILE)
    return note["at"] if isinstance(note.get("at"), str) and psutil.pid_exists(note.get("process", -1)) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or of a process that was killed while it wrote
        return {}
    return note if isinstance(note, dict) else {}
