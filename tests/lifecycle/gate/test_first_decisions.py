"""Records of format 1, which kshot wrote before reasons became facts."""

import copy
import json
from typing import Any

import pytest

from kshot.lifecycle.gate.first_decisions import follows

# Written by commit e53343a, with the settings as shipped: min_accuracy {5w1s: 0.80, 20w1s: 0.60}.
RECORD: dict[str, Any] = {
    "evidence": {
        "accuracy": {"20w1s": [0.7, 0.69, 0.71], "5w1s": [0.9, 0.89, 0.91]},
        "champion": "3",
        "difference": {"20w1s": [0.0, -0.001, 0.001], "5w1s": [0.0, -0.001, 0.001]},
        "groups": [
            {"challenger": 0.91, "champion": 0.9, "group": "Greek"},
            {"challenger": 0.78, "champion": 0.8, "group": ""},
        ],
        "notes": ["the champion knew some classes"],
    },
    "rules": {
        "approval": "automatic",
        "approval_timeout": 72.0,
        "max_group_drop": 0.05,
        "min_accuracy": {"20w1s": 0.6, "5w1s": 0.8},
        "non_inferiority_margin": 0.005,
    },
    "decision": {
        "promote": True,
        "reasons": [
            "5w1s accuracy 90.00 % reaches the least allowed, 80.00 %",
            "20w1s accuracy 70.00 % reaches the least allowed, 60.00 %",
            "5w1s differs from champion 3 by +0.00 pp [-0.10, +0.10], which stays above the margin of -0.50 pp",
            "20w1s differs from champion 3 by +0.00 pp [-0.10, +0.10], which stays above the margin of -0.50 pp",
            "no group loses more than the 5.00 pp allowed on 5w1s (the worst: the classes without a group, "
            "80.00 % to 78.00 %)",
            "the champion knew some classes",
        ],
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    record = copy.deepcopy(RECORD)
    *sections, key = path.split("/")
    inner: Any = record
    for section in sections:
        inner = inner[int(section) if section.isdecimal() else section]
    inner[int(key) if key.isdecimal() else key] = value
    return record


def test_an_honest_record_follows_whichever_protocol_came_first_in_the_settings() -> None:
    assert follows(json.loads(json.dumps(RECORD))) == "5w1s"
    sentence = RECORD["decision"]["reasons"][4].replace("on 5w1s", "on 20w1s")
    assert follows(changed("decision/reasons/4", sentence)) == "20w1s"


def test_a_record_that_was_refused_follows_too() -> None:
    record = changed("evidence/groups/1/challenger", 0.7)
    record["decision"] = {
        "promote": False,
        "reasons": [
            "the classes without a group fall from 80.00 % to 70.00 % on 5w1s, more than the 5.00 pp allowed",
            *(reason for reason in RECORD["decision"]["reasons"] if not reason.startswith("no group")),
        ],
    }
    assert follows(record) == "5w1s"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("decision/promote", False),
        ("decision/reasons/0", "5w1s accuracy 99.00 % reaches the least allowed, 80.00 %"),
        ("evidence/accuracy/5w1s", [0.91, 0.9, 0.92]),
        ("evidence/difference/20w1s", [0.0, -0.1, 0.1]),
        ("evidence/groups/1/challenger", 0.79),
        ("evidence/notes", []),
        ("rules/min_accuracy/5w1s", 0.7),
        ("rules/max_group_drop", 0.01),
    ],
)
def test_an_edited_record_does_not_follow(path: str, value: object) -> None:
    assert follows(changed(path, value)) is None
