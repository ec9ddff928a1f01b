"""Files with labels that kshot does not read are named by their kind, which their content shows."""

from pathlib import Path

import numpy as np
import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.annotations import IMAGES, OBJECTS, annotations
from kshot.lifecycle.sources.left_out import consent_needed
from kshot.lifecycle.sources.source_images import read_source
from tests.lifecycle.raw_project import write_tree


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1.xml", "<?xml version='1.0'?><annotation><object/></annotation>", f"Pascal VOC annotations: {OBJECTS}"),
        ("1.XML", "<annotations><image id='0'/></annotations>", f"CVAT annotations: {OBJECTS}"),
        ("a.json", '{"info": {}, "images": [], "annotations": []}', f"COCO annotations: {OBJECTS}"),
        ("1.json", '{"shapes": [], "imagePath": "1.jpg"}', f"labelme annotations: {OBJECTS}"),
        ("1.txt", "0 0.5 0.5 0.1 0.1\n3 1 1 1e-1 0.25", f"YOLO annotations: {OBJECTS}"),
        ("metadata.jsonl", '\ufeff{"file_name": "0.png", "label": 1}', f"Hugging Face metadata: {IMAGES}"),
        ("labels.mat", "MATLAB 5.0", f"a MATLAB file: {IMAGES}"),
        ("package.json", "{}", f"a file of JSON, which is not read; if the labels are in it, {IMAGES}"),
        (
            "train.csv",
            "id,label",
            "a table, which is read only as the source itself (path,class) or with --split (class,split)",
        ),
        (
            "000001.cls",
            "3",
            "a label of WebDataset, read only if every image has one: put each image into a folder of its class",
        ),
        (
            "data-00000-of-00001.arrow",
            "",
            "records with images, which are not read: write them as .parquet (of `datasets`: to_parquet), and add that",
        ),
        ("data_batch_1.pkl", "", "an array, not an image file: write each image into a file of its class's folder"),
        ("train.txt", "cat/1.jpg 0\n\ndog/my 2.JPG 1\n", f"a list of images: {IMAGES}"),
        ("notes.txt", "taken in 2019 1 2 3 4", ""),
        ("0.png", "", ""),
    ],
)
def test_the_kind_of_a_file_is_named_with_what_to_do(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    assert annotations(tmp_path / name) == said


def test_annotations_that_are_left_out_are_named_where_a_person_has_to_agree(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "voc", {"cat": 2, "dog": 2, "Annotations": 0})
    for number in range(4):
        (tree / "Annotations" / f"{number}.xml").write_text("<annotation/>")
    found = read_source(tree, tmp_path)
    assert (found.empty, len(found.images)) == ([], 4)
    assert consent_needed(found.files, found.left_out, found.empty) == (
        f"4 of 8 files are left out (4 .xml: Pascal VOC annotations: {OBJECTS})"
    )


def test_an_array_is_named_as_one_though_it_begins_as_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "letters.npz", images=np.zeros((2, 8, 8), np.uint8))
    for source in (tmp_path / "a", tmp_path / "a" / "letters.npz"):
        with pytest.raises(DataError, match="an array, not an image file: write each image into a file of its class"):
            read_source(source, tmp_path / "work")
