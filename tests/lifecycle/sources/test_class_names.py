"""Class names that are hard to tell apart, or that Windows cannot store, are named."""

import pytest

from kshot.lifecycle.sources.class_names import notes_on_names


def test_classes_of_one_name_in_two_folders_are_named() -> None:
    groceries = [f"Vegetables/{number}" for number in range(40)]
    twice = ["Vegetables/Brown-Cap-Mushroom", "Vegetables/Mushroom/brown_cap_mushroom"]
    (line,) = notes_on_names([*groceries, *twice])
    assert line.startswith(f"classes of one name in two folders: {' and '.join(twice)}; if they are the same, put")
    assert notes_on_names([*groceries, *twice], there=twice) == []
    assert notes_on_names(["Zucchini", "Vegetables/Zucchini"], there=["Vegetables/Zucchini"]) != []
    assert (
        notes_on_names([f"{script}/character{number}" for script in ("Greek", "Latin") for number in range(20)]) == []
    )


def test_names_that_differ_in_case_alone_are_named_where_one_of_them_is_new() -> None:
    (line,) = notes_on_names(["A", "a", "Wren", "wren", "b"], there=["Wren", "wren", "a"])
    assert line.startswith("class names that differ only in case stay separate classes: A and a; if they are")
    assert notes_on_names(["A", "a"], there=["A", "a"]) == []


@pytest.mark.parametrize("name", ["CON", "nul", "fish/Com1", "aux.old", "12:30", "what?", "end."])
def test_a_name_that_windows_cannot_store_is_named(name: str) -> None:
    assert notes_on_names([name, "robin"]) == [
        f"Windows has no folders called {name}; rename it to use this data there"
    ]


@pytest.mark.parametrize("name", ["console", "com10", "Connecticut/nulls", "a.b"])
def test_a_name_that_windows_can_store_is_not(name: str) -> None:
    assert notes_on_names([name]) == []
