"""Two versions on the same episodes: paired differences by hand, and the source of the predictions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kshot.cli.versions.models import line
from kshot.errors import DataError
from kshot.lifecycle.gate import comparison
from kshot.lifecycle.gate.change import certainly_gained, certainly_lost
from kshot.lifecycle.gate.gate_text import change_text
from kshot.lifecycle.tracking import store
from kshot.statistics import paired_difference, ratio_difference
from tests.lifecycle import registered_versions
from tests.lifecycle.registered_versions import cells


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of one data version, and a third of another."""
    root = registered_versions.write(tmp_path_factory.mktemp("project"), 2)
    registered_versions.add(root, store.client(), 3, data="f" * 32)
    return root


def table(right: list[list[int]], asked: list[list[int]]) -> pd.DataFrame:
    """Cells of one protocol: one row an episode, one column a class; both classes in one group."""
    rows = [
        {"protocol": "p", "episode": e, "class": "ab"[c], "rotation": 0, "group": "g", "queries": n, "right": r}
        for e, (counts, queries) in enumerate(zip(right, asked, strict=True))
        for c, (r, n) in enumerate(zip(counts, queries, strict=True))
        if n
    ]
    return pd.DataFrame(rows)


def test_differences_are_paired_by_episode_for_protocol_group_and_class():
    rng = np.random.default_rng(0)
    asked = np.full((12, 2), 4)
    asked[:5, 1] = 0  # class b is not in every episode
    old, new = rng.integers(0, 3, (12, 2)), rng.integers(1, 5, (12, 2))
    count, protocols, groups, classes = comparison.changes(
        table(old.tolist(), asked.tolist()), table(new.tolist(), asked.tolist())
    )
    assert count == 12
    seen = asked > 0
    total = asked.sum(1)
    expected = ratio_difference((new * seen).sum(1), (old * seen).sum(1), total)
    assert protocols[0].difference == pytest.approx(expected)
    assert groups[0].difference == protocols[0].difference and groups[0].episodes == 12
    assert [change.name for change in classes] == ["a", "b"]
    for column, change in enumerate(classes):
        rows = seen[:, column]
        expected = paired_difference(new[rows, column] / 4, old[rows, column] / 4)
        assert change.difference == pytest.approx(expected) and change.episodes == rows.sum()
        assert change.old == pytest.approx(old[rows, column].mean() / 4)
        assert change.new == pytest.approx(new[rows, column].mean() / 4)


def test_a_class_that_answers_alike_did_not_gain_and_one_that_always_gains_did():
    asked = [[4, 4]] * 10
    _, _, _, classes = comparison.changes(table([[1, 2]] * 10, asked), table([[3, 2]] * 10, asked))
    assert [change.name for change in classes] == ["a", "b"]
    assert certainly_gained(classes) == [True, False] and certainly_lost(classes, 0.0) == [False, False]


def test_a_class_of_one_episode_has_no_interval_and_is_said_to_have_none():
    asked, groups = [[4, 4], [4, 0]], [[2, 4], [3, 0]]  # class b in the first episode alone, which it now gets wrong
    _, _, (group,), (a, b) = comparison.changes(table(groups, asked), table([[2, 0], [3, 0]], asked))
    assert (b.difference.mean, b.episodes) == (-1, 1) and math.isnan(b.difference.low) and math.isnan(b.difference.high)
    assert group.difference.low < group.difference.mean < group.difference.high and a.difference.low < 0
    assert certainly_lost((a, b), 0.0) == certainly_gained((a, b)) == [False, False]
    assert change_text(b) == "b -100.00 points, no interval: one episode"
    assert line(b, "1", "2", "class")["95 % interval"] == "no interval: one episode"


def test_two_models_with_one_common_class_and_episode_and_no_group_are_compared():
    one = table([[2]], [[4]]).assign(group="")
    count, (whole,), groups, (only,) = comparison.changes(one, one)
    assert (count, groups, whole.difference.mean, only.episodes) == (1, (), 0, 1)
    assert math.isnan(whole.difference.low) and math.isnan(only.difference.high)


def test_turned_classes_are_classes_of_their_own():
    turned = pd.concat([cells(1), cells(1).assign(rotation=1)])
    _, _, _, classes = comparison.changes(turned, turned)
    assert [change.name for change in classes] == ["g/a", "h/b", "g/a @90", "h/b @90"]


def test_answers_of_the_same_episodes_come_from_the_runs(root: Path) -> None:
    found = comparison.compare(root, "1", "2")
    assert (found.old, found.new, found.episodes) == ("1", "2", 40)
    assert found.on == "data version 01234567, predictions stored by both runs"
    (whole,) = found.protocols
    a, b = (2 / 5, 3 / 5), (4.5 / 5, 4 / 5)  # of registered_versions.cells(1) and cells(2)
    assert (whole.old, whole.new) == pytest.approx(((a[0] + b[0]) / 2, (a[1] + b[1]) / 2))
    assert [(change.name, change.difference.mean) for change in found.groups] == [
        ("g", pytest.approx(0.2)),
        ("h", pytest.approx(-0.1)),
    ]
    assert certainly_gained(found.classes) == [True, False] and certainly_lost(found.classes, 0.0) == [False, True]


def test_versions_of_other_data_need_episodes_to_answer_now(root: Path) -> None:
    with pytest.raises(DataError, match="data/episodes has none to predict now; `kshot retrain` makes them"):
        comparison.compare(root, "1", "3")
