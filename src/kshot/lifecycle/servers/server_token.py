"""The secret shared by the servers that kshot starts and their permitted clients: this user's processes and browser.

It is stored next to Prefect's records, in .kshot/prefect/token, readable by its owner only. If the file is removed
while no server runs, the next server creates a new secret, and every browser has to sign in again.
"""

import contextlib
import os
import secrets
from pathlib import Path

FILE = "token"  # in PREFECT_HOME
SHORTEST = 40  # characters; a truncated file is not a secret
CLIENT, SERVER = "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"  # Prefect's settings for it


def token(home: Path) -> str:
    """Return the secret of the servers with PREFECT_HOME `home`, created if there is none."""
    path = home / FILE
    while len(found := _read(path)) < SHORTEST:
        _make(path, found)
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:  # copied by a tool that does not preserve modes
            path.chmod(0o600)
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path, instead_of: str) -> None:
    """Write a new secret, unless another process is faster: all of them must read the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if instead_of or path.exists():
        path.unlink(missing_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"kshot:{secrets.token_urlsafe(32)}\n")
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
