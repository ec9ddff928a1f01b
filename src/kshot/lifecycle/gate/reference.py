"""Versions other than the champion that a challenger must not be worse than."""

import json
from collections.abc import Mapping, Sequence

from kshot.lifecycle.gate.gate_rules import ordered_protocols
from kshot.lifecycle.history.events import CHAMPION, MOVED_OUTSIDE, REJECTED, ROLLED_BACK, Event

EPISODES = ("kshot.data_version", "kshot.episodes_hash")  # tags: equal ones mean the same test episodes
ACCURACY = "kshot.accuracy"


def champions(events: Sequence[Event]) -> list[str]:
    """Every version that a decision made champion, except those that a person has rolled back or rejected since."""
    found: dict[str, None] = {}
    for event in events:
        before, after = event.before.get(CHAMPION), event.after.get(CHAMPION)
        if event.action == ROLLED_BACK and before:
            found.pop(before, None)
        if event.action == REJECTED:
            found.pop(event.version, None)
        if after and after != before and event.action != MOVED_OUTSIDE:
            found[after] = None
    return list(found)


def best(
    versions: Mapping[str, Mapping[str, str]], protocols: Sequence[str], ours: Mapping[str, str], champion: str | None
) -> dict[str, str]:
    """Protocol to the champion, past or present, with the highest accuracy on the challenger's episodes.

    versions   version to its tags
    protocols  of the challenger
    ours       the challenger's tags; the challenger itself is excluded
    champion   the present one, which wins ties; otherwise the first registered does

    Per protocol, so that a gain on one cannot hide a slow loss on another. A protocol that no version has is left out.
    """
    found: dict[str, tuple[float, bool, int, str]] = {}
    for version, tags in versions.items():
        if any(tags.get(name) != ours.get(name) for name in EPISODES) or ours["kshot.lineage"] == tags["kshot.lineage"]:
            continue
        accuracy = json.loads(tags.get(ACCURACY, "{}"))
        for protocol in ordered_protocols(protocols):
            if protocol in accuracy:
                rank = (float(accuracy[protocol][0]), version == champion, -int(version), version)
                found[protocol] = max(rank, found.get(protocol, rank))
    return {protocol: rank[-1] for protocol, rank in found.items()}
