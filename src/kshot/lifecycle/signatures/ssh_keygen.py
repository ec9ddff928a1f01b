"""Signs bytes with an SSH key and finds out whose signature it is, by `ssh-keygen -Y`."""

import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from kshot.errors import DataError, KshotError
from kshot.lifecycle.signatures.allowed_signers import ALLOWED


class NoKeygen(KshotError):
    """The program ssh-keygen is not installed."""


class Foreign(DataError):
    """A signature of a key that the file of allowed signers does not allow, or not for this, or not at that time."""


class Invalid(DataError):
    """A signature that is not one over this content, whatever its key."""


def sign(content: bytes, key: Path, namespace: str) -> str:
    """The signature over `content` as text, armored. `key`: a private key, or a public one whose agent is running.

    Raises DataError for a key that is missing or cannot sign, NoKeygen without ssh-keygen.
    """
    if not key.is_file():
        raise DataError(f"the key {key} is missing; needs an SSH private key: ssh-keygen -t ed25519 makes one")
    ended = _keygen("sign", "-f", str(key), "-n", namespace, content=content)
    return _output(ended, DataError, f"the key {key} cannot sign")


def signer(content: bytes, signature: str, allowed: Path, namespace: str, *, name: str = "", when: str = "") -> str:
    """The name that the file `allowed` gives the key of the signature; `name`, where the key must have that one.

    when  ISO 8601: the time at which the key must be valid; '' for now
    Raises Invalid, Foreign, NoKeygen.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "signature"
        path.write_text(signature, encoding="utf-8")
        _output(_keygen("check-novalidate", "-n", namespace, "-s", str(path), content=content), Invalid, "not valid")
        # ssh-keygen reads a time without a zone as one of this machine; older ones know no other.
        at = [f"-Overify-time={datetime.fromisoformat(when).astimezone():%Y%m%d%H%M%S}"] if when else []
        unknown = f"{ALLOWED} does not name its key, or the key's time is over"
        found = _output(_keygen("find-principals", "-s", str(path), "-f", str(allowed), *at), Foreign, unknown)
        names = [name] if name else [*found.splitlines(), *_of_each_line(path, allowed, at)]
        tried = {}
        for who in dict.fromkeys(one.strip() for one in names):
            ask = ("verify", "-f", str(allowed), "-I", who, "-n", namespace, "-s", str(path), *at)
            if (ended := _keygen(*ask, content=content)).returncode == 0:
                return who
            tried[who] = ended
    who, ended = next(iter(tried.items()))
    others = f" (nor for {', '.join([*tried][1:])})" if len(tried) > 1 else ""
    wrong = f"not valid for {who}{others} by {ALLOWED}, which names its key for another person or for other namespaces"
    raise Foreign(_failure(ended, wrong))


def _of_each_line(signature: Path, allowed: Path, at: list[str]) -> Iterator[str]:
    """The names of every line of the file with the signature's key: ssh-keygen prints only the first line's names."""
    one = signature.with_name("line")
    for line in allowed.read_bytes().splitlines(keepends=True):
        if line.strip() and not line.startswith(b"#"):
            one.write_bytes(line)
            ended = _keygen("find-principals", "-s", str(signature), "-f", str(one), *at)
            yield from ended.stdout.decode(errors="replace").splitlines() if ended.returncode == 0 else ()


def _keygen(*arguments: str, content: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["ssh-keygen", "-Y", *arguments], input=content, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise NoKeygen(
            "ssh-keygen is not installed; install OpenSSH's client to sign and to check signatures"
        ) from error


def _output(ended: "subprocess.CompletedProcess[bytes]", kind: type[KshotError], wrong: str) -> str:
    if ended.returncode:
        raise kind(_failure(ended, wrong))
    return ended.stdout.decode(errors="replace")


def _failure(ended: "subprocess.CompletedProcess[bytes]", wrong: str) -> str:
    """`wrong` with the program's own message."""
    output = " ".join((ended.stderr or ended.stdout).decode(errors="replace").split())
    return f"{wrong}{f' ({output})' if output else ''}"
