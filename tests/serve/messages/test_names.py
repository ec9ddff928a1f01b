import pytest

from kshot.serve.messages.names import check_gallery_name, check_name
from kshot.serve.messages.refusals import Refused


@pytest.mark.parametrize("name", ["apple", "Lao/ໄກ່", "<b>bold</b>", "\u0645\u06cc\u200c\u062e", "a b", "1"])
def test_text_of_any_script_is_a_class_name(name: str) -> None:
    assert check_name("class", name) == name


def test_a_name_is_brought_to_its_composed_form() -> None:
    assert check_name("class", "cafe\u0301") == "caf\u00e9"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty parts"),
        ("x" * 5000, "5,000 characters"),
        ("a\nb", "U\\+000A"),
        ("a\x00", "U\\+0000"),
        ("\u202egnp.exe", "U\\+202E"),
        ("a\ud800", "U\\+D800"),
        ("../a", "'..'"),
        ("/a", "empty parts"),
        (" a", "blanks"),
        ("a\\b", "backslashes"),
        ("ໄ" * 100, "200 bytes"),
    ],
)
def test_other_names_are_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as raised:
        check_name("class", name)
    assert raised.value.status == 422


def test_a_gallery_is_one_part_of_an_address() -> None:
    with pytest.raises(Refused, match="without '/'"):
        check_gallery_name("a/b")
