"""Facts that hold for the story in every environment; the test files next to it name the environments."""

import json
import re

from tests.services.story import Told


def one_line(text: str) -> str:
    """The text without the line breaks that fit it to a terminal."""
    return " ".join(text.split())


class Facts:
    """For a file with a fixture `told`."""

    def test_every_command_did_what_it_was_asked(self, told: Told) -> None:
        asked = {name: (step.code, step.err) for name, step in told.steps.items() if name != "doctor"}
        assert asked == dict.fromkeys(asked, (0, ""))

    def test_each_data_version_started_its_retraining_by_itself(self, told: Told) -> None:
        ends = re.findall(r"retraining \S+: (completed|failed)", told.scheduler)
        assert ends == ["completed", "completed", "failed"]
        assert told.scheduler.count(" is new: ") == 3

    def test_the_gate_waited_for_a_person_and_the_champion_served_on(self, told: Told) -> None:
        first, second = json.loads(told.steps["models second"].out)
        assert (first["version"], first["aliases"]) == ("1", ["champion"])
        assert (second["version"], second["aliases"]) == ("2", ["challenger"])
        assert "waiting for approval until" in second["decision"]
        assert told.steps["approve first"].out == "version 1 is champion now; recorded as event 2\n"
        assert (
            told.steps["approve second"].out == "version 2 is champion now instead of version 1; recorded as event 4\n"
        )

    def test_the_broken_version_was_stopped_told_and_changed_nothing(self, told: Told) -> None:
        (news,) = told.heard
        assert news["title"] == "kshot: a retraining failed"
        assert "group1/class03/" in news["reason"]
        versions = {one["version"]: one["aliases"] for one in json.loads(told.steps["models broken"].out)}
        assert set(versions) == {"1", "2"} and "champion" in versions["2"]

    def test_the_rollback_is_an_event_with_its_reason(self, told: Told) -> None:
        assert told.steps["rollback"].out == "version 1 is champion now instead of version 2; recorded as event 5\n"
        assert "false accepts on the shop floor" in one_line(told.steps["history"].out)
        assert "all 5 events are as they were written" in one_line(told.steps["history"].out)

    def test_the_audit_of_the_champion_holds(self, told: Told) -> None:
        assert "version 1: all 15 links hold" in told.steps["audit"].out

    def test_the_comparison_with_a_champion_of_other_data_is_measured_again(self, told: Told) -> None:
        assert "version 2: all 15 links hold" in told.steps["audit second"].out
        assert "its own predictions and the recomputed ones" in one_line(told.steps["audit second"].out)
