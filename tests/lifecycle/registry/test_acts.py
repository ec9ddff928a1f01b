"""The note of a killed decision: it matches a repetition of the same request, and no other."""

import json
from pathlib import Path

from kshot.lifecycle.history.events import REJECTED, Person
from kshot.lifecycle.registry import acts

ADA, GRACE = Person("Ada", "ada", "here"), Person("Grace", "ada", "here")


def test_an_alias_means_the_version_that_it_stood_for_when_the_command_was_killed(tmp_path: Path) -> None:
    acts.begin(tmp_path, acts.Act(REJECTED, "challenger", "4", "too slow", ADA))
    assert acts.version_of(tmp_path, REJECTED, "challenger", "too slow", ADA) == ""  # its process still works
    note = json.loads((tmp_path / acts.NOTE).read_text())
    (tmp_path / acts.NOTE).write_text(json.dumps({**note, "began": 0.0}))
    assert acts.version_of(tmp_path, REJECTED, "challenger", "too slow", ADA) == "4"
    for other in (("4", "too slow", ADA), ("challenger", "blurred", ADA), ("challenger", "too slow", GRACE)):
        assert acts.version_of(tmp_path, REJECTED, *other) == ""
    acts.end(tmp_path)
    assert acts.version_of(tmp_path, REJECTED, "challenger", "too slow", ADA) == ""
