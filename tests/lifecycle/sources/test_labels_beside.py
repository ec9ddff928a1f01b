"""Labels beside the images: tables with the columns of other programs, and WebDataset's files."""

from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources import labels_beside
from kshot.lifecycle.sources.source_images import Source, read_source
from tests.lifecycle.raw_project import image, write_zip

TABLE = "image_id,label\n0.png,cat\n1.png,dog\n2.png,cat\n"


def competition(folder: Path, text: str = TABLE, name: str = "train.csv") -> Path:
    """Images of two classes in one folder, others in a second, and a table, as of Kaggle."""
    for path in ("train_images/0.png", "train_images/1.png", "train_images/2.png", "test_images/9.png"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(image(path))
    (folder / name).write_text(text)
    return folder


def told(found: Source) -> list[tuple[str, str]]:
    return [(image.label, image.file.name) for image in found.images]


def left(found: Source) -> list[tuple[str, str]]:
    return [(one.path.as_posix(), one.reason) for one in found.left_out]


CATS_AND_DOG = [("cat", "0.png"), ("cat", "2.png"), ("dog", "1.png")]


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (TABLE, "column image_id as path and label as class, in train_images/"),
        ("id,breed\n0,cat\n1,dog\n2,cat\n", "column id as path and breed as class, in train_images/, with .png"),
        (
            "Filename;Category;n\ntrain_images/0.png;cat;1\ntrain_images/1.png;dog;1\ntrain_images/2.png;cat;1\n",
            "column Filename as path and Category as class",
        ),
    ],
)
def test_a_table_of_other_columns_is_a_manifest_and_is_found_in_its_folder(tmp_path: Path, text: str, how: str) -> None:
    folder = competition(tmp_path / "pets", text)
    for source in (folder, folder / "train.csv"):
        found = read_source(source, tmp_path / "work")
        assert told(found) == CATS_AND_DOG
        assert found.notes[0] == f"train.csv: {how}"
    assert left(read_source(folder, tmp_path / "work")) == [("test_images/9.png", "not named in train.csv")]


def test_a_table_of_captions_beside_folders_of_classes_has_no_labels(tmp_path: Path) -> None:
    for path in ("cat/0.png", "cat/1.png", "dog/2.png"):
        (tmp_path / "pets" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / path).write_bytes(image(path))
    (tmp_path / "pets/metadata.csv").write_text("file_name,text\ncat/0.png,a cat\ncat/1.png,two\ndog/2.png,two\n")
    found = read_source(tmp_path / "pets", tmp_path / "work")
    assert [one.label for one in found.images] == ["cat", "cat", "dog"]
    assert [path for path, _ in left(found)] == ["metadata.csv"]


def test_an_archive_with_such_a_table_is_read_by_it(tmp_path: Path) -> None:
    folder = competition(tmp_path / "pets")
    files = {f"pets/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
    assert told(read_source(write_zip(tmp_path / "pets.zip", files), tmp_path / "work")) == CATS_AND_DOG


def test_folders_stay_the_classes_if_the_table_agrees_or_names_few_images(tmp_path: Path) -> None:
    for text in ("path,label\ntrain_images/0.png,a\ntest_images/9.png,b\n", "image_id,label\n0.png,cat\n"):
        found = read_source(competition(tmp_path / "pets", text), tmp_path / "work")
        assert {label for label, _ in told(found)} == {"train_images", "test_images"}


def test_tables_of_single_images_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = competition(tmp_path / "pets")
    for number in range(labels_beside.MOST_TABLES):
        (folder / "test_images" / f"{number}.csv").write_text(TABLE)
    monkeypatch.setattr(labels_beside, "manifest_rows", lambda table: pytest.fail("a table was read"))
    assert {label for label, _ in told(read_source(folder, tmp_path / "work"))} == {"train_images", "test_images"}


def test_two_such_tables_and_a_missing_image_are_refused(tmp_path: Path) -> None:
    folder = competition(tmp_path / "pets")
    (folder / "other.csv").write_text(TABLE.replace("cat", "owl"))
    with pytest.raises(DataError, match=r"other.csv, train.csv each have labels of the images; add the one .* itself$"):
        read_source(folder, tmp_path / "work")
    folder = competition(tmp_path / "more", f"{TABLE}7.png,dog\n")
    with pytest.raises(DataError, match=r"row 5: 'train_images/7.png' is no file; [^;]*$"):
        read_source(folder, tmp_path / "work")


def test_the_class_files_of_web_dataset_are_read(tmp_path: Path) -> None:
    files = {}
    for key, label in {"000": "3", "001": "owl", "002": "3"}.items():
        files |= {f"{key}.png": image(key), f"{key}.cls": f"{label}\n".encode()}
    found = read_source(write_zip(tmp_path / "shard.zip", files), tmp_path / "work")
    assert told(found) == [("3", "000.png"), ("3", "002.png"), ("owl", "001.png")]
    assert (found.files, found.left_out) == (3, [])
    files["001.cls"] = b""
    with pytest.raises(DataError, match="001.cls is empty; needs the class of 001.png"):
        read_source(write_zip(tmp_path / "empty.zip", files), tmp_path / "more")
