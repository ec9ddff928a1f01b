"""Anchors the history outside MLflow's database: the hash of every event, in a git ref that only grows.

Each decision adds a commit to `refs/kshot/history/STORE/RUN`. No branch, no file of the working tree and no index is
touched. If somebody rewrites the whole history in the database, hash by hash, the first event that differs shows it.
The ref is pushed if the repository has a remote that asks for no password: somebody who can change the database and
this machine's git cannot change the copy on another machine.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project import git
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.tracking import store
from kshot.params import project_name
from kshot.redaction import redacted

LOG = logging.getLogger("kshot.anchor")
REFS = "refs/kshot/history"
FILE = "events"  # in the commit's tree: one line per event, with its number and its hash
PUSH = "kshot.push"  # in git's configuration: `git config kshot.push false` keeps the anchor on this machine
PUSH_S = 20.0
TRIES = 5  # when other processes anchor at the same time
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "kshot"), ("EMAIL", "kshot@localhost"))
}


class Rewritten(KshotError):
    """The history in the database differs from the one anchored in git."""


@dataclass(frozen=True)
class Anchor:
    """A history as git has it.

    ref     the git ref of the history
    commit  the commit it points to, '' if there is none
    hashes  hashes of the history's first events, () if git has none
    others  refs of other histories of this project and store
    """

    ref: str
    commit: str
    hashes: tuple[str, ...]
    others: tuple[str, ...]


def keep(root: Path, run_id: str, events: Sequence[Event]) -> None:
    """Anchor the events of the history in run `run_id`. Never raises: the decision stands even if git fails.

    A problem is logged in one line. Without git, or outside a repository, nothing is anchored, and an audit reports it.
    """
    try:
        ref = _ref(root, run_id)
        _append(root, ref, [event.hash for event in events])
        _push(root, ref, [event.hash for event in events])
    except (git.NoGit, git.NoRepository):
        return
    except (KshotError, OSError) as error:
        LOG.warning("the decision is recorded, and not anchored in git: %s", " ".join(str(error).split()))


def behind(root: Path, run_id: str, events: Sequence[Event]) -> int:
    """How many of the last events are not anchored in git, for example after a kill between an event and its anchor.

    0 if git has a different history, which an audit reports, or no anchor at all.
    """
    try:
        found = read(root, run_id) if run_id else None
    except git.GitFailed:
        return 0
    if found is None or not found.commit or problem(events, found.hashes):
        return 0
    return len(events) - len(found.hashes)


def catch_up(root: Path, run_id: str, events: Sequence[Event]) -> str:
    """Anchor the last events if a kill prevented it. Returns a sentence about it, '' if nothing was left to anchor."""
    left = behind(root, run_id, events)
    if not left:
        return ""
    keep(root, run_id, events)
    if behind(root, run_id, events):
        return ""  # the log says why
    return (
        f"the last {left} of {counted(len(events), 'event')} had not been anchored in git, as after a kill, and is now"
    )


def read(root: Path, run_id: str, *, remote: bool = False) -> Anchor:
    """Read git's anchor of the history in run `run_id` ('': no history); with `remote`, the remote's copy of it.

    Raises GitFailed without git, outside a repository, and if the remote does not respond.
    """
    folder, ref = _folder(root), _ref(root, run_id) if run_id else ""
    if not run_id:
        commit = ""
    elif remote:
        # Another clone of this project may have another name for the store, but the run is the same.
        found = [(len(_hashes(root, one)), one) for one in _fetch(root, f"{REFS}/*/{run_id}")]
        commit = max(found)[1] if found else ""
    else:
        commit = _commit(root, ref)
    others = git.text(root, "for-each-ref", "--format=%(refname)", folder.rstrip("/")).split()
    return Anchor(
        ref, commit, tuple(_hashes(root, commit)) if commit else (), tuple(name for name in others if name != ref)
    )


def problems(root: Path, run_id: str, events: Sequence[Event]) -> list[str]:
    """How the history differs from git's anchor, one sentence each; empty if git has no anchor, or there is no git."""
    try:
        found = read(root, run_id)
    except (git.NoGit, git.NoRepository):
        return []
    except git.GitFailed as error:
        return [f"whether git anchors this history is not known: {error}"]
    wrong = [problem(events, found.hashes), another(found)]
    return [sentence for sentence in wrong if sentence]


def another(found: Anchor) -> str:
    """A sentence if git anchors a history other than the one in the database, else ''."""
    if not found.others:
        return ""
    return (
        f"git anchors another history of this project and store ({len(found.others)} of them), which is not in the "
        f"database: it was replaced; if you began a new one yourself: git update-ref -d {found.others[0]}"
    )


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


def problem(events: Sequence[Event], anchored: Sequence[str]) -> str:
    """How the events differ from the anchored hashes; '' if they agree."""
    for number, (event, recorded) in enumerate(zip(events, anchored, strict=False), 1):
        if event.hash != recorded:
            what = f"event {number} ({event.what})"
            return f"{what} is not the one that git anchors: the history was rewritten from there on"
    if len(events) < len(anchored):
        return f"git anchors {len(anchored)} events, and the history has {len(events)}: event {len(events) + 1} is gone"
    return ""


def copy_from(root: Path, before: Path) -> None:
    """Anchor what was anchored while the project was in the folder `before`, whose store had another address.

    Without this, a history that replaces the one in the database after a move would not be found (`another`). The old
    refs stay, because the original of a copied project may use them. Does nothing without git.
    """
    try:
        old, new = _folder(root, store.uri(before)), _folder(root)
        for ref in git.text(root, "for-each-ref", "--format=%(refname)", old.rstrip("/")).split():
            ours = new + ref.removeprefix(old)
            if not _commit(root, ours):
                git.run(root, "update-ref", ours, ref)
    except git.GitFailed as error:
        LOG.debug("no anchor is copied: %s", error)


def _folder(root: Path, address: str = "") -> str:
    """The ref folder of this project's anchors: a hash of its place in the repository, its name and the store's address
    ('': the current one)."""
    place, name = git.text(root, "rev-parse", "--show-prefix").strip(), project_name.of(root)
    of_name = "" if name == project_name.BEFORE else f" {name}"  # the name was not part of it when it was always kshot
    of_store = redacted(address or store.uri(root))
    return f"{REFS}/{hashlib.sha256(f'{place} {of_store}{of_name}'.encode()).hexdigest()[:12]}/"


def _ref(root: Path, run_id: str) -> str:
    """The ref of a history: an existing one, even if the project has moved since, else a new one."""
    ours = _folder(root) + run_id
    known = git.text(root, "for-each-ref", "--format=%(refname)", f"{REFS}/*/{run_id}").split()
    return ours if ours in known or not known else known[0]


def _append(root: Path, ref: str, hashes: Sequence[str]) -> None:
    """Append these hashes to those already in the ref. Raises Rewritten, GitFailed."""
    for left in reversed(range(TRIES)):
        before = _commit(root, ref)
        if not _is_news(hashes, _hashes(root, before) if before else [], ref):
            return
        commit = _write(root, hashes, before)
        try:
            git.run(root, "update-ref", ref, commit, before)  # an empty `before`: the ref must not exist yet
            return
        except git.GitFailed:
            if not left or _commit(root, ref) == before:
                raise


def _is_news(hashes: Sequence[str], known: Sequence[str], where: str) -> bool:
    """Whether `hashes` continue `known`. Raises Rewritten if they are a different history."""
    for number, (ours, theirs) in enumerate(zip(hashes, known, strict=False), 1):
        if ours != theirs:
            raise Rewritten(f"event {number} is not the one that {where} anchors; `kshot audit` says more")
    return len(hashes) > len(known)


def _write(root: Path, hashes: Sequence[str], before: str) -> str:
    text = "".join(f"{number} {one}\n" for number, one in enumerate(hashes, 1))
    blob = git.run(root, "hash-object", "-w", "--stdin", stdin=text.encode()).decode().strip()
    tree = git.run(root, "mktree", stdin=f"100644 blob {blob}\t{FILE}\n".encode()).decode().strip()
    parent = ["-p", before] if before else []
    message = f"kshot: {len(hashes)} events, the last {hashes[-1][:12]}"
    return git.run(root, "commit-tree", tree, *parent, "-m", message, env=IDENTITY).decode().strip()


def _commit(root: Path, ref: str) -> str:
    return git.text(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", fine=(0, 1)).strip()


def _hashes(root: Path, commit: str) -> list[str]:
    lines = git.text(root, "cat-file", "blob", f"{commit}:{FILE}").splitlines()
    return [line.partition(" ")[2] for line in lines]


def _push(root: Path, ref: str, hashes: Sequence[str]) -> None:
    """Push the ref; if the remote has another machine's anchor, continue from that. Raises Rewritten, GitFailed."""
    remote = remote_of(root)
    if not remote or _is_working_clone(root, remote):
        return
    try:
        _network(root, "push", "--quiet", "--no-verify", remote, f"{ref}:{ref}")
    except git.GitFailed as error:
        ours = _commit(root, ref)
        theirs = _of_remote(root, ref) if error.code >= 0 else ""  # do not wait again for a remote that timed out
        if theirs in ("", ours):
            raise git.GitFailed("push", f"{error.reason} (remote {remote})", error.code) from error
        ahead = _is_news(hashes, _hashes(root, theirs), f"remote {remote}")
        git.run(root, "update-ref", ref, _write(root, hashes, theirs) if ahead else theirs, ours)
        if ahead:
            _network(root, "push", "--quiet", "--no-verify", remote, f"{ref}:{ref}")


def _of_remote(root: Path, ref: str) -> str:
    try:
        return next(iter(_fetch(root, ref)), "")
    except git.GitFailed:
        return ""


def _is_working_clone(root: Path, remote: str) -> bool:
    """Whether the remote is a folder on this machine that somebody works in: kshot never pushes to such a folder."""
    address = git.text(root, "remote", "get-url", "--push", remote).strip().removeprefix("file://")
    return (root / address / ".git").exists()


def _fetch(root: Path, pattern: str) -> list[str]:
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
