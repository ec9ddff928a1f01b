"""The git ref that anchors a history: its name, and the commits with the hashes of the events."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.project import git
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from kshot.redaction import redacted

LOG = logging.getLogger("kshot.anchor")
REFS = "refs/kshot/history"
FILE = "events"  # in the commit's tree: one line per event, with its number and its hash
TRIES = 5  # when other processes anchor at the same time
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "kshot"), ("EMAIL", "kshot@localhost"))
}


class Rewritten(KshotError):
    """The history in the database differs from the one anchored in git."""


def copy_from(root: Path, before: Path) -> None:
    """Copy the anchors from the time when the project was in the folder `before`, whose store had another address.

    Without this, a history that replaces the one in the database after a move would not be found (`another`). The old
    refs stay, because the original of a copied project may use them. Does nothing without git.
    """
    try:
        old, new = ref_folder(root, store.uri(before)), ref_folder(root)
        for ref in git.text(root, "for-each-ref", "--format=%(refname)", old.rstrip("/")).split():
            ours = new + ref.removeprefix(old)
            if not commit_of(root, ours):
                git.run(root, "update-ref", ours, ref)
    except git.GitFailed as error:
        LOG.debug("no anchor is copied: %s", error)


def ref_folder(root: Path, address: str = "") -> str:
    """The ref folder of this project's anchors: a hash of its place in the repository, its name and the store's address
    ('': the current one)."""
    place, name = git.text(root, "rev-parse", "--show-prefix").strip(), project_name.of(root)
    of_name = "" if name == project_name.BEFORE else f" {name}"  # the name was not part of it when it was always kshot
    of_store = redacted(address or store.uri(root))
    return f"{REFS}/{hashlib.sha256(f'{place} {of_store}{of_name}'.encode()).hexdigest()[:12]}/"


def ref_of(root: Path, run_id: str) -> str:
    """The ref of a history: an existing one, even if the project has moved since, else a new one."""
    ours = ref_folder(root) + run_id
    known = git.text(root, "for-each-ref", "--format=%(refname)", f"{REFS}/*/{run_id}").split()
    return ours if ours in known or not known else known[0]


def append(root: Path, ref: str, hashes: Sequence[str]) -> None:
    """Append these hashes to those already in the ref. Raises Rewritten, GitFailed."""
    for left in reversed(range(TRIES)):
        before = commit_of(root, ref)
        if not continues(hashes, hashes_of(root, before) if before else [], ref):
            return
        commit = write(root, hashes, before)
        try:
            git.run(root, "update-ref", ref, commit, before)  # an empty `before`: the ref must not exist yet
            return
        except git.GitFailed:
            if not left or commit_of(root, ref) == before:
                raise


def continues(hashes: Sequence[str], known: Sequence[str], where: str) -> bool:
    """Whether `hashes` continue `known`. Raises Rewritten if they are a different history."""
    for number, (ours, theirs) in enumerate(zip(hashes, known, strict=False), 1):
        if ours != theirs:
            raise Rewritten(f"event {number} is not the one that {where} anchors; `kshot audit` says more")
    return len(hashes) > len(known)


def write(root: Path, hashes: Sequence[str], before: str) -> str:
    text = "".join(f"{number} {one}\n" for number, one in enumerate(hashes, 1))
    blob = git.run(root, "hash-object", "-w", "--stdin", stdin=text.encode()).decode().strip()
    tree = git.run(root, "mktree", stdin=f"100644 blob {blob}\t{FILE}\n".encode()).decode().strip()
    parent = ["-p", before] if before else []
    message = f"kshot: {len(hashes)} events, the last {hashes[-1][:12]}"
    return git.run(root, "commit-tree", tree, *parent, "-m", message, env=IDENTITY).decode().strip()


def commit_of(root: Path, ref: str) -> str:
    return git.text(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", fine=(0, 1)).strip()


def hashes_of(root: Path, commit: str) -> list[str]:
    lines = git.text(root, "cat-file", "blob", f"{commit}:{FILE}").splitlines()
    return [line.partition(" ")[2] for line in lines]
