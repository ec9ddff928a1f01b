import pytest

from tests.params.changed_settings import changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("validate.max_unreadable_share", 1.0, "needs to lie in"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)
