"""The decision link of a version whose decision was recorded in format 1."""

import math
from typing import Any

from kshot.lifecycle.audit.decision.compared import fresh_tables, opponent
from kshot.lifecycle.audit.links import results
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.gate import first_decisions
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project.broken import Broken


def check(subject: Subject, event: Event, record: dict[str, Any], *, promoted: bool) -> tuple[str, bool]:
    """Text about the comparisons, and whether all could be checked. Raises Broken if evidence or decision differ."""
    protocol, evidence = first_decisions.follows(record), record["evidence"]
    if protocol is None or record["decision"]["promote"] != promoted:
        raise Broken(
            f"{event} does not follow from its evidence by its rules",
            "promote" if promoted else "refuse",
            " | ".join(record["decision"]["reasons"]),
        )
    table = results.episodes(subject)
    results.compare("the evidence", evidence["accuracy"], first_decisions.means(table))
    version = evidence["champion"]
    if version is None:
        return "there was no champion to compare with", True
    folder, fresh = results.predictions(subject), record.get("answered_anew")
    if fresh:
        theirs = fresh_tables(subject, fresh)
    else:
        with opponent(subject, "champion", version) as champion:
            if champion is None:
                return (
                    f"not checked are the differences to champion {version}: it was made on other data and "
                    "recomputed then, and those predictions are not stored",
                    False,
                )
            place = results.predictions(champion)
            theirs = {
                "episodes": results.episodes(champion),
                "groups": first_decisions.read_groups(place / "groups.csv"),
            }
    results.compare(
        f"the difference to champion {version}",
        evidence["difference"] or {},
        first_decisions.differences(table, theirs["episodes"]),
    )
    found = first_decisions.groups(first_decisions.read_groups(folder / "groups.csv"), theirs["groups"], protocol)
    recorded = {one["group"]: (one["champion"], one["challenger"]) for one in evidence["groups"]}
    if found.keys() != recorded.keys() or not all(
        math.isclose(one, other, rel_tol=0, abs_tol=results.EXACT)
        for name in found
        for one, other in zip(found[name], recorded[name], strict=True)
    ):
        raise Broken(
            "the groups' accuracies in the evidence do not follow from both models' predictions", recorded, found
        )
    how = "its own predictions and the champion's recomputed ones" if fresh else "both runs' predictions"
    return f"the differences to champion {version} follow from {how}", True
