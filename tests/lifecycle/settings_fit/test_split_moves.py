"""The lines of `kshot data add` on splits: by hand."""

from kshot.lifecycle.settings_fit.split_moves import moves

BEFORE = {"a": "train", "b": "train", "c": "val", "d": "test"}


def test_the_split_of_each_new_class_is_said() -> None:
    found = moves(BEFORE, {**BEFORE, "e": "train", "f": "val", "g": "train"})
    assert found == ["3 new classes: in train (e, g), in val (f)"]


def test_classes_that_moved_are_named_with_both_splits() -> None:
    found = moves(BEFORE, {**BEFORE, "c": "train", "d": "val", "e": "test"})
    assert found[0] == "1 new class: in test (e)"
    assert found[1].startswith("2 classes that were there are in another split now: c (val -> train), d (test -> val);")
    assert found[2].startswith("the test classes change")


def test_where_nothing_changed_nothing_is_said() -> None:
    assert moves(BEFORE, BEFORE) == []
