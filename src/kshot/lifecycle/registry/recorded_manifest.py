"""The manifest that seals a version, by its tag and by the events about it."""

from collections.abc import Iterable, Mapping

from kshot.lifecycle.registry.events import Event
from kshot.lifecycle.serving.model_manifest import TAG, Altered


def recorded_manifest(version: str, tags: Mapping[str, str], events: Iterable[Event]) -> str:
    """The sha256 of the manifest of a version, as its tag and the events about it say alike; '' where none does.

    Raises Altered where they differ.
    """
    tag = tags.get(TAG, "")
    for event in events:
        if event.version == version and event.manifest and event.manifest != tag:
            raise Altered(
                f"version {version} bears the tag {TAG} {tag[:12] or '(none)'}, and {event} is about "
                f"{event.manifest[:12]}: the tag was changed"
            )
    return tag
