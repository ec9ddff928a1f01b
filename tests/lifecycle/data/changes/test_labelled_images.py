"""Labelled images become a data version: what is added, what is left out with a line, and what the ledger says."""

import csv
import hashlib
from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, feedback_ledger
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.data.changes.labelled_images import add_labelled, summary
from kshot.lifecycle.data.feedback_ledger import FeedbackImage
from tests.lifecycle.raw_project import files_below, image, make, write_tree

Labelled = tuple[FeedbackImage, bytes]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = make(tmp_path / "root")
    add_version.add(made, str(write_tree(tmp_path / "birds", {"a/robin": 2, "a/wren": 2})))
    return made


def labelled(item: int, name: str, content: bytes | None = None, by: str = "Ada") -> Labelled:
    content = image(f"asked {item}") if content is None else content
    md5 = hashlib.md5(content).hexdigest()
    return FeedbackImage(md5, name, by, "t", item, f"r{item}", "birds", "t", "3", "wren", True), content


def manifest(root: Path) -> list[dict[str, str]]:
    with (root / "data/raw/manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_new_version_is_the_current_one_and_the_labelled_images(root: Path) -> None:
    before = files_below(root / "data/raw/images")
    version = add_labelled(root, [labelled(1, "a/robin"), labelled(2, "owl", by="Grace")], note="spring")
    assert version is not None
    assert (version.images, version.classes, version.source, version.note) == (6, 3, "feedback", "spring")
    assert data_versions.current(root) == version
    after = files_below(root / "data/raw/images")
    came = {path: content for path, content in after.items() if path not in before}
    assert before.items() <= after.items()
    assert sorted(came.values()) == sorted([image("asked 1"), image("asked 2")])
    assert {path.rpartition("/")[0] for path in came} == {"a/robin", "owl"}
    assert {row["group"] for row in manifest(root) if row["class"] == "a/robin"} == {"a"}


def test_the_ledger_says_which_images_of_a_version_came_from_whom(root: Path) -> None:
    first = data_versions.current(root)
    images = [labelled(1, "a/robin"), labelled(2, "owl", by="Grace"), labelled(3, "owl", by="Grace")]
    version = add_labelled(root, images)
    assert first is not None and version is not None
    assert feedback_ledger.of_version(root, version.md5) == tuple(one for one, _ in images)
    assert feedback_ledger.of_version(root, first.md5) == ()
    told = summary(feedback_ledger.of_version(root, version.md5))
    assert told == "3 images from 3 requests to the service, labelled by Ada (1), Grace (2)"


def test_the_same_labels_again_change_nothing(root: Path) -> None:
    images = [labelled(1, "a/robin"), labelled(2, "a/robin", image("asked 1"))]
    version = add_labelled(root, images)
    assert version is not None and version.images == 5
    assert add_labelled(root, images) is None
    assert data_versions.current(root) == version
    assert len(feedback_ledger.read(root)) == 1


def test_an_image_of_two_classes_is_left_out_with_a_line(root: Path) -> None:
    there = image("a/wren/0")
    lines: list[str] = []
    images = [labelled(1, "a/robin", there), labelled(2, "owl"), labelled(3, "hawk", image("asked 2"))]
    assert add_labelled(root, images, say=lines.append) is None
    assert lines == [
        "left out item 1: the same image is said to be a/robin and a/wren; give it one class",
        "left out item 2, 3: the same image is said to be hawk and owl; give it one class",
    ]
    assert feedback_ledger.read(root) == []


def test_a_new_class_is_for_training_where_the_data_has_splits(tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    split = tmp_path / "split.csv"
    split.write_text("class,split\nrobin,train\nwren,val\nowl,test\n")
    add_version.add(
        root,
        str(write_tree(tmp_path / "birds", {"robin": 2, "wren": 2, "owl": 2})),
        add_version.AddOptions(split=split),
    )
    assert add_labelled(root, [labelled(1, "hawk"), labelled(2, "wren")]) is not None
    assert {row["class"]: row["split"] for row in manifest(root)} == {
        "robin": "train",
        "wren": "val",
        "owl": "test",
        "hawk": "train",
    }


def test_a_project_without_data_begins_with_the_labelled_images(tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    with pytest.raises(DataError, match="no data version here, and the labelled images are of one class, 'robin'"):
        add_labelled(root, [labelled(1, "robin")])
    assert not (root / "data/feedback.jsonl").exists()
    version = add_labelled(root, [labelled(1, "robin"), labelled(2, "wren")])
    assert version is not None and (version.images, version.classes) == (2, 2)


def test_other_content_than_was_labelled_is_refused(root: Path) -> None:
    before = data_versions.current(root)
    one, _ = labelled(1, "owl")
    with pytest.raises(DataError, match="the image of item 1 is not the one that was labelled; nothing was added"):
        add_labelled(root, [(one, image("another"))])
    assert data_versions.current(root) == before


def test_a_damaged_ledger_is_named(root: Path) -> None:
    (root / "data/feedback.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"feedback.jsonl is damaged .*; take it from git again"):
        add_labelled(root, [labelled(1, "owl")])


def test_data_of_another_branch_gets_no_images(root: Path) -> None:
    first = data_versions.current(root)
    assert first is not None
    add_labelled(root, [labelled(1, "owl")])
    pointer = root / "data/raw.dvc"
    now = data_versions.current(root)
    assert now is not None
    pointer.write_text(pointer.read_text().replace(now.md5, first.md5))
    with pytest.raises(DataError, match="another branch's data"):
        add_labelled(root, [labelled(2, "owl")])
