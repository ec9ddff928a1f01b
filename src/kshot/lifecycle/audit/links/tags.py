"""Checks that the version's tags agree with the events and the manifest."""

from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.history import apply_event
from kshot.lifecycle.project.broken import Broken, NotRecorded
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.serving import model_manifest

OURS = "kshot."
LATER = apply_event.DECISION_TAGS | {model_manifest.TAG, model_versions.PRUNED}  # set after the registration


def tags(subject: Subject) -> str:
    """Check that decision tags match the events and the others match the registration. Raises Broken."""
    if subject.record is None:
        raise Broken(subject.trouble, "a history that can be read", "none")
    expected = apply_event.tags_after(subject.record.events).get(subject.version, {})
    for name in sorted(apply_event.DECISION_TAGS):
        _compare(subject, name, expected.get(name, ""), "its events say")
    try:
        sealed = subject.sealed.tags
    except NotRecorded:
        if not expected:
            raise
        return f"{len(expected)} tags as the events say; what it was registered with was not sealed then"
    for name, value in sealed.items():
        _compare(subject, name, value, "it was registered with")
    for name in sorted(tag for tag in subject.tags.keys() - sealed.keys() - LATER if tag.startswith(OURS)):
        _compare(subject, name, "", "it was registered with")
    return f"{len(expected)} tags as the events say, {len(sealed)} as registered"


def _compare(subject: Subject, name: str, recorded: str, how: str) -> None:
    found = subject.tags.get(name, "")
    if found != recorded:
        raise Broken(
            f"tag {name} of version {subject.version} is not what {how}; "
            f"`kshot history` shows who decided, and the tag can be set back in MLflow",
            recorded or "nothing",
            found or "nothing",
        )
