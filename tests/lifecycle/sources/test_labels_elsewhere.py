"""The message of a refused folder says where its labels are."""

from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.labels_elsewhere import labels_elsewhere, place_of_labels

YOLO = "0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.05 0.05\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"0.png": "", "1.png": "", "metadata.csv": ""}, "may be in metadata.csv: give it the columns path,class"),
        ({"images/0.png": "", "a.json": '{"images": [], "annotations": []}'}, "a.json: COCO annotations: cut each"),
        ({"images/0.jpg": "", "labels/0.txt": YOLO, "data.yaml": "nc: 2"}, "labels/0.txt: YOLO annotations: cut each"),
        ({"0.png": "", "metadata.jsonl": '{"file_name": "0.png"}'}, "metadata.jsonl: Hugging Face metadata: write the"),
        (dict.fromkeys(("cat_001.jpg", "cat_002.jpg", "dog_001.jpg", "dog_002.jpg"), ""), "names, such as cat_001.jpg"),
        (dict.fromkeys(("001_cat.jpg", "002_cat.jpg", "001_dog.jpg", "002_dog.jpg"), ""), "names, such as 001_cat.jpg"),
        (dict.fromkeys(("id1_01.jpg", "id1_02.jpg", "id2_01.jpg", "id2_02.jpg"), ""), "names, such as id1_01.jpg"),
        (dict.fromkeys(("IMG_001.jpg", "IMG_002.jpg", "notes.txt"), ""), ""),
        (dict.fromkeys(("IMG_20240101_1.jpg", "IMG_20240101_2.jpg", "IMG_20240102_1.jpg"), ""), ""),
        (dict.fromkeys(("IMG1.jpg", "IMG2.jpg", "IMG2_1.jpg"), ""), ""),
        (dict.fromkeys(("0.png", "1.png"), ""), ""),
    ],
)
def test_a_table_annotations_or_names_are_named(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = place_of_labels(tmp_path, [Path(name) for name in files])
    assert said in found and bool(said) == bool(found)


def test_a_parquet_file_of_images_is_said_to_hold_them(tmp_path: Path) -> None:
    pd.DataFrame({"image": [{"bytes": b"x", "path": "0.png"}], "label": [0]}).to_parquet(tmp_path / "train.parquet")
    found = place_of_labels(tmp_path, [Path("train.parquet")])
    assert found.startswith("train.parquet holds the images themselves (column image): add that table")


def test_an_error_of_a_folder_without_them_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="^no image$"), labels_elsewhere(tmp_path):
        raise DataError("no image")
    (tmp_path / "labels.csv").write_text("a,b\n")
    with (
        pytest.raises(DataError, match="labels.csv: unpack the archive, give"),
        labels_elsewhere(tmp_path, packed=True),
    ):
        raise DataError("no image")
    with pytest.raises(DataError, match="^no image; .*labels.csv"), labels_elsewhere(tmp_path):
        raise DataError("no image")
