"""Signs the manifest of an attestation with a person's SSH key, by `ssh-keygen -Y`."""

import subprocess
from pathlib import Path

from kshot.errors import DataError, KshotError
from kshot.lifecycle.project import git

NAMESPACE = "kshot-attestation"
ALLOWED = "allowed_signers"  # in the project's folder, in git: who may sign, as ssh-keygen reads it


def committed_signers(root: Path) -> bytes | None:
    """The file `allowed_signers` of the commit that is checked out, None if there is none."""
    try:
        return git.run(root, "show", f"HEAD:./{ALLOWED}")
    except git.GitFailed:
        return None


def sign(path: Path, key: Path, allowed: Path | None) -> str:
    """Sign the file `path` into `path`.sig. Returns the signer's name from `allowed`, '' without such a file.

    Raises DataError for a key that is missing, cannot sign, or is not in `allowed`.
    """
    if not key.is_file():
        raise DataError(f"the key {key} is missing; needs an SSH private key: ssh-keygen -t ed25519 makes one")
    _keygen("sign", "-f", str(key), "-n", NAMESPACE, str(path), wrong=f"the key {key} cannot sign")
    if allowed is None:
        return ""
    signature = f"{path}.sig"
    found = _keygen(
        "find-principals",
        "-s",
        signature,
        "-f",
        str(allowed),
        wrong=f"the key {key} may not sign: {ALLOWED} in the project's git does not name it, or its time is over",
    )
    who = found.splitlines()[0].strip()
    content = path.read_bytes()
    wrong = f"the signature of {who} is not valid by {ALLOWED}, for example because it allows other namespaces"
    _keygen("verify", "-f", str(allowed), "-I", who, "-n", NAMESPACE, "-s", signature, stdin=content, wrong=wrong)
    return who


def _keygen(*arguments: str, wrong: str, stdin: bytes | None = None) -> str:
    try:
        ended = subprocess.run(["ssh-keygen", "-Y", *arguments], input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise KshotError("ssh-keygen is not installed; install OpenSSH's client to sign") from error
    if ended.returncode:
        said = " ".join(ended.stderr.decode(errors="replace").split())
        raise DataError(f"{wrong}{f' ({said})' if said else ''}")
    return ended.stdout.decode(errors="replace")
