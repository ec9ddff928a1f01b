import pytest

from tests.params.changed_settings import changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("gate.min_accuracy", {"7w1s": 0.5}, "gate.min_accuracy names '7w1s'; needs one of 5w1s"),
        ("gate.group_protocol", "7w1s", "gate.group_protocol is '7w1s'; needs one of 5w1s"),
        ("gate.reference", "3", "gate.reference is '3'; needs best, or the number of a version"),
        ("gate.reference", 0, "gate.reference is 0; needs best, or the number of a version"),
        ("gate.approval_timeout", 0, "gate.approval_timeout is 0.0; needs more than 0 hours and at most a year"),
        ("gate.gallery_margin", 2, "gate.gallery_margin is 2.0; needs to lie in \\[0, 1\\], or null"),
        ("gate.min_accuracy", {"5w1s": 98.0}, "gate.min_accuracy.5w1s is 98.0; needs to lie in"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)
