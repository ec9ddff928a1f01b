import pytest

from tests.params.changed_settings import changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("split.test", 0.9, "their sum below 1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)
