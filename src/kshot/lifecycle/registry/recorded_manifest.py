"""The manifest that seals a version, according to its tag and the events about it."""

from collections.abc import Iterable, Mapping

from kshot.lifecycle.history.events import Event
from kshot.lifecycle.serving.model_manifest import TAG, Altered


def recorded_manifest(version: str, tags: Mapping[str, str], events: Iterable[Event]) -> str:
    """The sha256 of a version's manifest, on which its tag and its events must agree; '' if none records one.

    Raises Altered if they differ.
    """
    tag = tags.get(TAG, "")
    for event in events:
        if event.version == version and event.manifest and event.manifest != tag:
            raise Altered(
                f"version {version} has the tag {TAG} {tag[:12] or '(none)'}, and {event} is about "
                f"{event.manifest[:12]}: the tag was changed"
            )
    return tag
