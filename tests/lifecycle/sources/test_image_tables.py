"""Parquet files with the images themselves, as Hugging Face's data sets have them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.source_images import Source, read_source
from tests.lifecycle.raw_project import image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(path: Path, labels: list[int], names: list[str] | None = None, first: int = 0) -> Path:
    """A table as the library `datasets` writes it; its images are numbered from `first`."""
    images = [{"bytes": image(str(first + at)), "path": None} for at in range(len(labels))]
    features = {"image": {"_type": "Image"}, "label": {"names": names or ["cat", "dog"], "_type": "ClassLabel"}}
    columns = pa.schema(
        [("image", IMAGE), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), path)
    return path


def classes(source: Source) -> list[tuple[str, str, str]]:
    return [(image.label, image.split, image.file.name) for image in source.images]


def test_classes_are_the_names_beside_the_numbers(tmp_path: Path) -> None:
    found = read_source(table(tmp_path / "pets.parquet", [1, 0, -1]), tmp_path / "work")
    assert classes(found) == [("cat", "", "pets-2.png"), ("dog", "", "pets-1.png")]
    assert found.images[0].file.read_bytes() == image("1")
    assert found.notes == [
        "pets.parquet holds the images (column image), and their classes (column label)",
        "1 rows have no class (nothing, or -1), and are not read",
    ]


@pytest.mark.parametrize("number", [2, -2])
def test_a_class_without_a_name_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(DataError, match=rf"row 2 has class {number} in column label; needs 0 to 1"):
        read_source(table(tmp_path / "train.parquet", [0, number], ["cat", "dog"]), tmp_path / "work")


def test_a_folder_of_shards_is_one_source(tmp_path: Path) -> None:
    table(tmp_path / "pets/data/train-00000-of-00001.parquet", [0, 1])
    table(tmp_path / "pets/data/test-00000-of-00001.parquet", [0, 1], first=5)
    (tmp_path / "pets/README.md").write_text("pets")
    found = read_source(tmp_path / "pets", tmp_path / "work")
    assert [(label, split) for label, split, _ in classes(found)] == [
        ("cat", ""),
        ("cat", ""),
        ("dog", ""),
        ("dog", ""),
    ]
    assert (found.files, [one.path.name for one in found.left_out]) == (5, ["README.md"])


def test_tables_of_different_classes_are_the_split(tmp_path: Path) -> None:
    table(tmp_path / "pets/train.parquet", [0, 0])
    table(tmp_path / "pets/test.parquet", [1, 1], first=5)
    assert {(label, split) for label, split, _ in classes(read_source(tmp_path / "pets", tmp_path / "work"))} == {
        ("cat", "train"),
        ("dog", "test"),
    }


def test_bytes_and_text_without_metadata_are_read_too(tmp_path: Path) -> None:
    columns = {"img": [image("0"), image("1")], "class": ["big/cat", "owl"], "id": [1, 2]}
    pq.write_table(pa.table(columns), tmp_path / "pets.parquet")
    assert [(one.label, one.group) for one in read_source(tmp_path / "pets.parquet", tmp_path / "work").images] == [
        ("big/cat", "big"),
        ("owl", ""),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"image": [image("0")], "caption": ["a"]},
            "no column for their class; it has image, caption: call the one with",
        ),
        (
            {"a": [image("0")], "b": [image("0")], "class": ["a"]},
            "has images in 2 columns .a, b.; call the one to read image",
        ),
        ({"image": [image("0")], "class": [".."]}, "row 1: class '..' cannot be stored as a name"),
        ({"image": [b""], "class": ["a"]}, "row 1 has no image in column image"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "pets.parquet")
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / "pets.parquet", tmp_path / "work")


def test_without_classes_they_are_new_images(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [image("0")], "caption": ["a"]}), tmp_path / "new.parquet")
    found = read_source(tmp_path / "new.parquet", tmp_path / "work", Reading(unlabelled=True))
    assert classes(found) == [("", "", "new-1.png")]
