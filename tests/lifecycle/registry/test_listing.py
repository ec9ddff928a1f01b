"""The list of versions: the content of a row; a long registry costs no more requests than a short one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from kshot.lifecycle.history import history
from kshot.lifecycle.registry import catch_up, gate_decision, listing, promotion
from kshot.lifecycle.tracking import store
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import judgement


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 was champion, 2 is, 3 waits, 4 was rejected; nobody decided about 5."""
    root = registered_versions.write(tmp_path_factory.mktemp("project"), 5)
    gate_decision.record_decision(root, "1", judgement(True), "r")
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    gate_decision.record_decision(root, "3", judgement(True, "2"), "r", datetime(2999, 1, 2, 3, 4, tzinfo=UTC))
    promotion.reject(root, "4", "too slow", "Ada")
    return root


def test_a_row_says_alias_data_accuracy_and_decision(root: Path) -> None:
    found = listing.listing(root)
    assert [model.version for model in found.models] == ["1", "2", "3", "4", "5"] and found.problems == ()
    assert [model.aliases for model in found.models] == [(), ("champion",), ("challenger",), (), ()]
    assert [model.decision for model in found.models] == [
        "promoted by gate, then version 2",
        "promoted by gate",
        "waiting for approval until 2999-01-02 03:04 UTC",
        "rejected by Ada",
        "none",
    ]
    first = found.models[0]
    assert first.data_version == registered_versions.DATA and first.accuracy == {"3w1s": (0.51, 0.4, 0.9)}
    assert timedelta(0) < datetime.now(UTC) - first.registered_at < timedelta(hours=1)


def test_what_waits_beside_another_champion_is_to_be_judged_again() -> None:
    tags = {"kshot.decision": "waiting", "kshot.waiting_until": "2999-01-02T03:04:00+00:00", "kshot.compared_with": "1"}
    assert listing.decision(tags, "3", "2").endswith("UTC, but the champion changed: judge it again")
    assert listing.decision(tags, "3", "1").endswith("UTC")


@pytest.mark.parametrize(
    ("gone", "told"),
    [({"minutes": 3}, "3 min"), ({"minutes": 60}, "1 h"), ({"hours": 47}, "47 h"), ({"hours": 48}, "2 d")],
)
def test_an_age_is_told_in_the_largest_unit(gone: dict[str, int], told: str) -> None:
    now = datetime.now(UTC)
    assert listing.age(now - timedelta(**gone), now) == told


@contextmanager
def queries() -> Iterator[list[str]]:
    """The statements that MLflow sends to its database meanwhile."""
    sent: list[str] = []

    def seen(connection: object, cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", seen)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", seen)


def test_a_thousand_runs_and_two_hundred_versions_cost_no_more_queries_than_five(root: Path, tmp_path: Path) -> None:
    long = registered_versions.copy(root, tmp_path / "long")
    registered_versions.fill(long, runs=1000, versions=200)
    counts, sizes = [], []
    for project in (root, long):
        store.connect(project)
        listing.listing(project)  # the first one opens the store
        with queries() as sent:
            assert catch_up.catch_up(project) == ()
            sizes.append(len(listing.listing(project).models))
        counts.append(len(sent))
        assert not [one for one in sent if "latest_metrics" in one and "run_uuid" not in one]
    assert sizes == [5, 205]
    assert counts[1] <= counts[0] + 4 and counts[1] < 100


def test_an_alias_moved_by_hand_stands_above_the_list(root: Path, tmp_path: Path) -> None:
    project = registered_versions.copy(root, tmp_path / "moved")
    store.connect(project)
    store.client().set_registered_model_alias("kshot", "champion", "5")
    assert listing.listing(project).problems == ("alias champion was moved from version 2 to version 5, outside kshot",)
    assert len(history.history(project)) == 4
