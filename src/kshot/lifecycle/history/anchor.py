"""Anchors the history outside MLflow's database: the hash of every event, in a git ref that only grows.

Each decision adds a commit to `refs/kshot/history/STORE/RUN`. No branch, no file of the working tree and no index is
touched. If somebody rewrites the whole history in the database, hash by hash, the first event that differs shows it.
The ref is pushed if the repository has a remote that asks for no password: somebody who can change the database and
this machine's git cannot change the copy on another machine.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.history.anchor_ref import REFS, append, commit_of, hashes_of, ref_folder, ref_of
from kshot.lifecycle.history.anchor_remote import fetch, push
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project import git
from kshot.lifecycle.project.tables import counted

LOG = logging.getLogger("kshot.anchor")


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
        ref = ref_of(root, run_id)
        append(root, ref, [event.hash for event in events])
        push(root, ref, [event.hash for event in events])
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
    folder, ref = ref_folder(root), ref_of(root, run_id) if run_id else ""
    if not run_id:
        commit = ""
    elif remote:
        # Another clone of this project may have another name for the store, but the run is the same.
        found = [(len(hashes_of(root, one)), one) for one in fetch(root, f"{REFS}/*/{run_id}")]
        commit = max(found)[1] if found else ""
    else:
        commit = commit_of(root, ref)
    others = git.text(root, "for-each-ref", "--format=%(refname)", folder.rstrip("/")).split()
    return Anchor(
        ref, commit, tuple(hashes_of(root, commit)) if commit else (), tuple(name for name in others if name != ref)
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


def problem(events: Sequence[Event], anchored: Sequence[str]) -> str:
    """How the events differ from the anchored hashes; '' if they agree."""
    for number, (event, recorded) in enumerate(zip(events, anchored, strict=False), 1):
        if event.hash != recorded:
            what = f"event {number} ({event.what})"
            return f"{what} is not the one that git anchors: the history was rewritten from there on"
    if len(events) < len(anchored):
        return f"git anchors {len(anchored)} events, and the history has {len(events)}: event {len(events) + 1} is gone"
    return ""
