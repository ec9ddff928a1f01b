"""The key that a person signs with: given, in the environment, or git's own."""

import os
from pathlib import Path
from typing import NamedTuple

from kshot.lifecycle.project import git

VARIABLE = "KSHOT_SIGNING_KEY"


class SigningKey(NamedTuple):
    """The keys that a person has at hand.

    given     the one that they chose for kshot: it signs every decision
    fallback  git's own (`user.signingkey`): it signs only where a signature is required
    """

    given: Path | None = None
    fallback: Path | None = None


NO_KEY = SigningKey()


def signing_key(root: Path, option: Path | None) -> SigningKey:
    """The key of `--key`, else of the environment variable KSHOT_SIGNING_KEY; and git's, if it signs with SSH."""
    variable = os.environ.get(VARIABLE, "").strip()
    given = option or (Path(variable) if variable else None)
    return SigningKey(given.expanduser() if given else None, _of_git(root))


def _of_git(root: Path) -> Path | None:
    """`user.signingkey` as a file, None if git does not sign with SSH or names the key itself and not its file."""
    try:
        if git.text(root, "config", "--get", "gpg.format", fine=(0, 1)).strip() != "ssh":
            return None
        name = git.text(root, "config", "--type=path", "--get", "user.signingkey", fine=(0, 1)).strip()
    except git.GitFailed:
        return None
    literal = not name or name.startswith(("key::", "ssh-", "ecdsa-", "sk-"))
    return None if literal else Path(name)
