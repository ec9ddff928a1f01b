import pytest

from tests.params.changed_settings import changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("ingest.channels", 2, "ingest.channels is 2; needs 1"),
        ("ingest.size", 4, "ingest.size is 4; needs 8 to 1024"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)
