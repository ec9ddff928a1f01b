import pytest

from kshot.first_few import first_few


@pytest.mark.parametrize(
    ("items", "text"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a; b; c"), (["a", "b", "c", "d"], "a; b; c and 1 more")],
)
def test_the_first_items_are_named_and_the_rest_is_counted(items: list[str], text: str) -> None:
    assert first_few(items, 3, "; ") == text


def test_thousands_are_separated() -> None:
    assert first_few(["a"] * 1_235, 1) == "a and 1,234 more"
