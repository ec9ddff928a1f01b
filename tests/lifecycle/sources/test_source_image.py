"""Names of classes and files: names that are not safe as a path are refused."""

import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.source_image import check_names, group_of, normal


def test_three_levels_give_a_group_of_two() -> None:
    assert group_of("background/Greek/alpha") == "background/Greek"
    assert group_of("alpha") == ""


def test_two_ways_to_write_a_name_are_one() -> None:
    assert normal("e\u0301") == normal("\u00e9") == "\u00e9"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a\nb", "a backslash or a control character"),
        ("back\\slash", "a backslash or a control character"),
        ("tab\t", "a backslash or a control character"),
        (" blank", "a blank at an end"),
        ("group /class", "a blank at an end"),
        ("a//b", "the part ''"),
        ("a/..", "the part '..'"),
        ("x" * 300, "300 bytes of at most 200"),
        ("é" * 101, "202 bytes of at most 200"),
        ("V\udcf6gel", "its bytes are no UTF-8"),
    ],
)
def test_a_name_that_would_not_survive_is_refused_with_the_fault(name: str, fault: str) -> None:
    with pytest.raises(DataError, match=f"cannot be stored as a name: .*{fault}; rename it$"):
        check_names([("class", name)])


@pytest.mark.parametrize("name", ["two words", "한글", "עברית/א", "a'b\"c,d;e", "#1", "=SUM(A1)", "NaN", "😀"])
def test_a_name_in_any_script_is_kept(name: str) -> None:
    check_names([("class", name)])


def test_names_that_would_not_survive_are_refused_together() -> None:
    with pytest.raises(DataError) as caught:
        check_names([("class", name) for name in (" a", "b ", "good", "c\\d", "e\n", "f ", " a")])
    message = str(caught.value)
    assert message.startswith("class ' a' cannot be stored as a name: it has a blank at an end; class 'b ' cannot")
    assert message.endswith(" and 2 more; rename them")
