"""The message of a refused folder says where its labels are."""

from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.labels_elsewhere import labels_elsewhere, place_of_labels


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["0.png", "1.png", "metadata.csv"], "may be in metadata.csv: give it the columns path,class"),
        (["images/0.png", "annotations.json"], "annotations.json is a file of annotations"),
        (["images/0.jpg", "labels/0.txt", "data.yaml"], "labels/0.txt is a file of annotations"),
        (["cat_001.jpg", "cat_002.jpg", "dog_001.jpg", "dog_002.jpg"], "in the names, such as cat_001.jpg"),
        (["001_cat.jpg", "002_cat.jpg", "001_dog.jpg", "002_dog.jpg"], "in the names, such as 001_cat.jpg"),
        (["IMG_001.jpg", "IMG_002.jpg", "notes.txt"], ""),
        (["0.png", "1.png"], ""),
    ],
)
def test_a_table_annotations_or_names_are_named(files: list[str], said: str) -> None:
    found = place_of_labels([Path(name) for name in files])
    assert said in found and bool(said) == bool(found)


def test_an_error_of_a_folder_without_them_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="^no image$"), labels_elsewhere(tmp_path):
        raise DataError("no image")
    (tmp_path / "labels.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="^no image; .*labels.csv"), labels_elsewhere(tmp_path):
        raise DataError("no image")
