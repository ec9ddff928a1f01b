"""The sources of a data version, with those of the versions that it was made from, compared with the champion's."""

from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.gate import change_plan
from kshot.lifecycle.gate.change_plan import SOURCE, PlannedChange
from kshot.lifecycle.gate.planned_changes import source_changes

PLAN = change_plan.parse("data: {sources: [birds*, feedback]}")


def version(md5: str, source: str, address: str = "", base: str = "") -> DataVersion:
    return DataVersion(md5, "t", 4, 2, 5, 9, source, "", (), address, base)


def to(*sources: str) -> list[PlannedChange]:
    return [PlannedChange(SOURCE, "birds", one) for one in sources]


def test_a_version_with_logged_requests_has_the_source_below_it_too() -> None:
    ledger = [version("a", "birds", "1"), version("b", "stolen", "2"), version("c", "feedback", base="b")]
    found = source_changes(ledger, "a", "c")
    assert found == to("feedback", "stolen")
    assert change_plan.outside(PLAN, found) == [
        "data source birds -> stolen lies outside change_plan.yaml: it allows data sources birds*, feedback"
    ]


def test_what_was_made_from_the_champion_s_own_data_adds_its_own_source_alone() -> None:
    ledger = [version("a", "birds", "1"), version("b", "feedback", base="a"), version("c", "feedback", base="b")]
    assert source_changes(ledger, "a", "c") == to("feedback")
    assert source_changes([*ledger, version("d", "birds", "1", base="a")], "a", "d") == to("birds")


def test_a_source_of_the_same_name_at_another_address_lies_outside() -> None:
    ledger = [version("a", "birds", "1"), version("b", "birds", "2"), version("c", "birds", "1")]
    found = source_changes(ledger, "a", "b")
    assert found == to("birds (at another address)")
    assert len(change_plan.outside(PLAN, found)) == 1
    assert change_plan.outside(change_plan.parse(change_plan.REMOVED), found) == []
    assert source_changes(ledger, "a", "c") == to("birds")
    below = [version("a", "birds", "1"), version("b", "feedback", base="a"), version("c", "birds", "2")]
    assert source_changes(below, "b", "c") == [PlannedChange(SOURCE, "feedback", "birds (at another address)")]


def test_without_a_recorded_address_and_ledger_the_name_decides() -> None:
    assert source_changes([version("a", "birds"), version("b", "birds", "2")], "a", "b") == to("birds")
    assert source_changes([version("a", "birds", "1"), version("b", "birds")], "a", "b") == to("birds")
    assert source_changes([version("a", "birds")], "a", "gone") == to("unknown")
    assert source_changes([version("b", "birds")], "gone", "b") == [PlannedChange(SOURCE, "unknown", "birds")]
