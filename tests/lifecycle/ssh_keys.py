"""SSH keys of persons, and the file in a project's git that says whose keys may sign."""

import subprocess
from pathlib import Path

ADA = "ada@example.org"
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """An SSH key; PATH.pub lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return path


def certify(key: Path, authority: Path, name: str = ADA, valid: str = "-1d:+9d") -> Path:
    """A certificate of the authority for the key, NAME-cert.pub beside it."""
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "a test", "-n", name, "-V", valid]
    subprocess.run([*command, str(key.with_suffix(".pub"))], check=True)
    return key.with_name(f"{key.name}-cert.pub")


def line(key: Path, name: str = ADA, options: str = "") -> str:
    """The line of an allowed_signers file for this key."""
    return f"{name} {options} {key.with_suffix('.pub').read_text()}"


def commit_signers(root: Path, *lines: str) -> None:
    """Make these lines the committed allowed_signers of the project, in a repository that is made if there is none."""
    if not (root / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / "allowed_signers").write_text("".join(lines))
    subprocess.run(["git", "add", "-f", "allowed_signers"], cwd=root, check=True)
    command = ["git", *IDENTITY, "commit", "-qm", "who may sign", "--", "allowed_signers"]
    subprocess.run(command, cwd=root, check=True)
