"""Splits: disjoint, of the requested sizes, and stable while a data set grows."""

import pytest

from kshot.data.splits import SPLITS, choose_by, hash_shares, hashed, rank, split_classes, split_named
from kshot.errors import DataError


def grouped(groups: int, classes: int) -> dict[str, str]:
    return {f"script {g}/letter {c}": f"script {g}" for g in range(groups) for c in range(classes)}


def no_table(groups: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(groups, "")


def split(groups: dict[str, str], by: str, *, val: float = 0.15, test: float = 0.25, seed: int = 0) -> dict[str, str]:
    return split_classes(groups, no_table(groups), by=by, val=val, test=test, seed=seed)


def counts(place: dict[str, str]) -> tuple[int, ...]:
    return tuple(sum(found == name for found in place.values()) for name in SPLITS)


def test_classes_are_shared_out_as_asked() -> None:
    groups = dict.fromkeys((str(i) for i in range(100)), "")
    assert counts(split(groups, "class")) == (60, 15, 25)


def test_every_split_has_a_class_where_the_shares_are_small() -> None:
    groups = dict.fromkeys("abc", "")
    assert counts(split(groups, "class", val=0.01, test=0.01)) == (1, 1, 1)


def test_a_group_stays_whole() -> None:
    groups = grouped(20, 7)
    place = split(groups, "group")
    assert counts(place) == (12 * 7, 3 * 7, 5 * 7)
    assert len({(groups[name], found) for name, found in place.items()}) == 20


def test_the_seed_decides_and_the_order_of_the_classes_does_not() -> None:
    groups = dict.fromkeys((str(i) for i in range(100)), "")
    turned = dict(reversed(list(groups.items())))
    assert split(groups, "class") == split(turned, "class")
    assert split(groups, "class") != split(groups, "class", seed=1)


def test_a_class_that_is_added_moves_few_others() -> None:
    groups = dict.fromkeys((str(i) for i in range(200)), "")
    before = split(groups, "class")
    after = split({**groups, "new": ""}, "class")
    assert sum(before[name] != after[name] for name in before) <= 2


def test_a_group_that_is_added_moves_few_others() -> None:
    before = split(grouped(40, 3), "group")
    after = split(grouped(41, 3), "group")
    assert sum(before[name] != after[name] for name in before) <= 2 * 3


def test_the_table_is_followed() -> None:
    table = {"a": "test", "b": "val", "c": "train"}
    groups = dict.fromkeys(table, "")
    assert split_classes(groups, table, by="table", val=0.5, test=0.4, seed=9) == table


def test_a_split_that_the_table_does_not_have_is_drawn_from_its_train() -> None:
    table = {**{str(i): "train" for i in range(80)}, **{f"t{i}": "test" for i in range(20)}}
    found = split_classes(dict.fromkeys(table, ""), table, by="table", val=0.15, test=0.25, seed=0)
    assert counts(found) == (65, 15, 20)
    assert all(found[name] == "test" for name in table if name.startswith("t"))
    larger = {**table, "new": "train"}
    again = split_classes(dict.fromkeys(larger, ""), larger, by="table", val=0.15, test=0.25, seed=0)
    assert sum(found[name] != again[name] for name in table) <= 2


@pytest.mark.parametrize("table", [{"a": "val", "b": "test"}, {"a": "train", "b": "test"}])
def test_a_table_that_leaves_none_to_train_on_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(DataError, match="leaves no class to train on"):
        split_classes(dict.fromkeys(table, ""), table, by="table", val=0.15, test=0.25, seed=0)


@pytest.mark.parametrize("name", ["val", "Valid", " VALIDATION "])
def test_a_split_is_known_by_other_names(name: str) -> None:
    assert split_named(name) == "val"
    assert split_named("dev") == ""


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"a": "train", "b": "", "c": "test"}, "class 'b' has no split"),
        ({"a": "train", "b": "dev", "c": "test"}, "class 'b' has split 'dev'"),
    ],
)
def test_a_table_with_a_hole_is_refused(table: dict[str, str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        split_classes(dict.fromkeys(table, ""), table, by="table", val=0.1, test=0.1, seed=0)


def test_two_classes_leave_none_to_train_on() -> None:
    with pytest.raises(DataError, match="2 classes; .* leave none to train on"):
        split(dict.fromkeys("ab", ""), "class")


def test_auto_prefers_the_table_then_groups_then_classes() -> None:
    groups = grouped(3, 2)
    assert choose_by("auto", groups, {**no_table(groups), "script 0/letter 0": "val"}) == "table"
    assert choose_by("auto", groups, no_table(groups)) == "group"
    assert choose_by("auto", grouped(2, 2), no_table(grouped(2, 2))) == "class"
    assert choose_by("auto", {**groups, "loose": ""}, no_table({**groups, "loose": ""})) == "class"


@pytest.mark.parametrize("by", ["table", "group", "class"])
def test_what_is_asked_for_is_taken_where_the_data_has_it(by: str) -> None:
    groups = grouped(3, 2)
    assert choose_by(by, groups, dict.fromkeys(groups, "train")) == by


def test_what_the_data_has_not_is_refused() -> None:
    groups = grouped(2, 2)
    with pytest.raises(DataError, match="brings no split"):
        choose_by("table", groups, no_table(groups))
    with pytest.raises(DataError, match="has 2 groups; needs at least 3"):
        choose_by("group", groups, no_table(groups))


def test_a_class_that_is_added_moves_no_other_where_hashes_assign() -> None:
    groups = dict.fromkeys((str(i) for i in range(200)), "")
    shares = {"test": 0.25, "val": 0.15}

    def by_hash(names: dict[str, str], seed: int = 0, **shares: float) -> dict[str, str]:
        return split_classes(names, no_table(names), by="class", seed=seed, assign="hash", **shares)

    before = by_hash(groups, **shares)
    grown = by_hash(dict.fromkeys((str(i) for i in range(50, 400)), ""), **shares)
    assert all(before[name] == grown[name] for name in before.keys() & grown.keys())
    assert all((place == "test") == (hashed(name, 0) < 0.25) for name, place in before.items())
    assert counts(grown)[2] / len(grown) == pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize("size", [5, 18, 51, 2000])
def test_the_hashes_assign_as_the_ranks_do_with_the_shares_that_give_as_many(size: int) -> None:
    groups = dict.fromkeys((f"class {i}" for i in range(size)), "")
    ranked = split(groups, "class", val=0.2, test=0.25)
    wanted = {"test": 0.25, "val": 0.2}
    shares = hash_shares(list(groups), {name: counts(ranked)[SPLITS.index(name)] for name in wanted}, wanted, 0)
    assert split_classes(groups, no_table(groups), by="class", seed=0, assign="hash", **shares) == ranked


def test_a_table_without_test_classes_is_completed_by_the_hashes() -> None:
    table = {**dict.fromkeys((str(i) for i in range(80)), "train"), "v": "val"}
    found = split_classes(dict.fromkeys(table, ""), table, by="table", val=0.15, test=0.25, seed=0, assign="hash")
    assert found["v"] == "val"
    assert {name for name in found if found[name] == "test"} == {n for n in table if hashed(n, 0) < 0.25} - {"v"}


def test_hashes_that_leave_a_split_empty_are_refused() -> None:
    with pytest.raises(DataError, match=r"split.test 1e-05 gives test none of the 3 names"):
        split_classes(dict.fromkeys("abc", ""), {}, by="class", val=0.5, test=1e-5, seed=0, assign="hash")


def test_rank_follows_from_seed_and_name_alone() -> None:
    names = [str(i) for i in range(50)]
    ranked = rank(names, 3)
    assert sorted(ranked) == sorted(names)
    assert rank(names[10:], 3) == [name for name in ranked if name in names[10:]]
