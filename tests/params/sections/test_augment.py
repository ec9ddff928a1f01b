import pytest

from tests.params.changed_settings import changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.augment.scale", 1.0, "train.augment.scale is 1.0; needs to lie below 1"),
        ("train.task_augment.mirror", 2, "train.task_augment.mirror is 2.0; needs 0 to 1"),
        ("train.task_augment.shear", 90, "train.task_augment.shear is 90.0; needs to lie below 90"),
        ("train.augment.degrees", -1, "train.augment.degrees is -1.0; needs 0 or more"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)
