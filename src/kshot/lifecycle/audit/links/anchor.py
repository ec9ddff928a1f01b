"""Checks that the history in the database is the one anchored in git."""

from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.history import anchor as anchors
from kshot.lifecycle.history import anchor_remote
from kshot.lifecycle.project import git
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.project.tables import counted


def anchor(subject: Subject, *, deep: bool) -> str:
    """Compare the events with the hashes in git; with `deep`, also with those of the git remote. Raises Broken."""
    if subject.record is None:
        raise Broken(subject.trouble, "a history that can be read", "none")
    events, run_id, root = subject.record.events, subject.record.run_id, subject.root
    try:
        found = anchors.read(root, run_id)
        remote = anchor_remote.remote_of(root) if deep or not found.commit else ""
    except git.GitFailed as error:
        raise NotRecorded(f"git anchors nothing, so a history that was rewritten completely passes: {error}") from error
    trouble, known, where, behind = "", list(found.hashes), "git", ""
    if remote:
        try:
            theirs = anchors.read(root, run_id, remote=True)
        except git.GitFailed as error:
            trouble = f"remote {remote} did not say what it anchors: {error.reason}"
        else:
            _compare(subject, theirs.hashes, f"remote {remote}")
            count = len(theirs.hashes)
            if count < len(known):
                behind = f"; remote {remote} anchors {count or 'none'} of them"
            else:
                where = f"git and remote {remote}" if count == len(known) else f"remote {remote}"
                known = list(theirs.hashes)
    _compare(subject, found.hashes, found.ref)
    if other := anchors.another(found):
        raise Broken(other, found.others[0].rpartition("/")[2], run_id or "no history")
    if not known:
        why = f" ({trouble})" if trouble else ""
        raise NotRecorded(f"no event is anchored in git yet; the next decision anchors all{why}")
    if trouble or len(known) < len(events):
        last = len(events) - len(known)
        left = trouble or (
            f"those are as anchored, and the last {last} not yet anchored, as after a kill; the next command that "
            "decides anchors it, or `kshot doctor --mend`"
        )
        raise NotChecked(f"{where} anchors {len(known)} of {counted(len(events), 'event')}{behind}; {left}")
    return f"{where} anchors {counted(len(known), 'event')}, the last {known[-1][:12]}{behind}"


def _compare(subject: Subject, hashes: tuple[str, ...], where: str) -> None:
    assert subject.record is not None
    events = subject.record.events
    if wrong := anchors.problem(events, hashes):
        raise Broken(f"{wrong} ({where})", hashes[-1][:12], events[-1].hash[:12] if events else "no event")
