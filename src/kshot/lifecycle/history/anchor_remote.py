"""Exchanges anchors with the remote: pushes the ref, and fetches the remote's copy of it."""

import os
from collections.abc import Sequence
from pathlib import Path

from kshot.lifecycle.history.anchor_ref import commit_of, continues, hashes_of, write
from kshot.lifecycle.project import git

PUSH = "kshot.push"  # in git's configuration: `git config kshot.push false` keeps the anchor on this machine
PUSH_S = 20.0


def remote_of(root: Path) -> str:
    """The remote that anchors are pushed to: the branch's own, else origin, else the only one; '' if none."""
    if git.text(root, "config", "--type=bool", "--get", PUSH, fine=(0, 1)).strip() == "false":
        return ""
    names = git.text(root, "remote").split()
    branch = git.text(root, "symbolic-ref", "--short", "--quiet", "HEAD", fine=(0, 1)).strip()
    own = git.text(root, "config", "--get", f"branch.{branch}.remote", fine=(0, 1)).strip() if branch else ""
    if own in names:
        return own
    return "origin" if "origin" in names else names[0] if len(names) == 1 else ""


def push(root: Path, ref: str, hashes: Sequence[str]) -> None:
    """Push the ref; if the remote has another machine's anchor, continue from that. Raises Rewritten, GitFailed."""
    remote = remote_of(root)
    if not remote or _is_working_clone(root, remote):
        return
    try:
        _network(root, "push", "--quiet", "--no-verify", remote, f"{ref}:{ref}")
    except git.GitFailed as error:
        ours = commit_of(root, ref)
        theirs = _of_remote(root, ref) if error.code >= 0 else ""  # do not wait again for a remote that timed out
        if theirs in ("", ours):
            raise git.GitFailed("push", f"{error.reason} (remote {remote})", error.code) from error
        ahead = continues(hashes, hashes_of(root, theirs), f"remote {remote}")
        git.run(root, "update-ref", ref, write(root, hashes, theirs) if ahead else theirs, ours)
        if ahead:
            _network(root, "push", "--quiet", "--no-verify", remote, f"{ref}:{ref}")


def _of_remote(root: Path, ref: str) -> str:
    try:
        return next(iter(fetch(root, ref)), "")
    except git.GitFailed:
        return ""


def _is_working_clone(root: Path, remote: str) -> bool:
    """Whether the remote is a folder on this machine that somebody works in: kshot never pushes to such a folder."""
    address = git.text(root, "remote", "get-url", "--push", remote).strip().removeprefix("file://")
    return (root / address / ".git").exists()


def fetch(root: Path, pattern: str) -> list[str]:
    """The commits that the remote has at the refs. Fetches their content and changes no ref."""
    remote = remote_of(root)
    lines = _network(root, "ls-remote", remote, pattern).splitlines() if remote else []
    refs = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
    if refs:
        _network(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, *refs)
    return list(refs.values())


def _network(root: Path, *arguments: str) -> str:
    """Run a git command that contacts a remote, within PUSH_S and without prompting a person."""
    own = {"GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GCM_INTERACTIVE": "never"}
    if "GIT_SSH_COMMAND" not in os.environ and "GIT_SSH" not in os.environ:
        command = git.text(root, "config", "--get", "core.sshCommand", fine=(0, 1)).strip() or "ssh"
        own["GIT_SSH_COMMAND"] = f"{command} -o BatchMode=yes -o ConnectTimeout=5"
    return os.fsdecode(git.run(root, *arguments, env=own, timeout_s=PUSH_S))
