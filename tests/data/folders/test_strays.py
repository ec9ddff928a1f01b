"""Masks and images beside class folders are no members of a class."""

from pathlib import Path

import pytest

from kshot.data.folders.strays import BESIDE, IN_MASK_FOLDER, MASK, strays


def found(*paths: str) -> dict[str, str]:
    return {path.as_posix(): reason for path, reason in strays([Path(path) for path in paths]).items()}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (("a/images/1.jpg", "b/images/2.jpg"), ("a/masks/1.png", "b/masks/2.png")),
        (("images/a/1.jpg", "images/b/2.jpg"), ("masks/a/1.png", "masks/b/2.png")),
        (("a/1.jpg", "b/2.jpg"), ("a/mask/1.png", "b/mask/2.png")),
        (("train/car/1.jpg",), ("train_masks/car/1_mask.gif",)),
        (("JPEGImages/2007_1.jpg",), ("SegmentationClass/2007_1.png", "SegmentationObject/2007_1.png")),
        (("bottle/test/broken/000.png", "bottle/train/good/001.png"), ("bottle/ground_truth/broken/000_mask.png",)),
        (("images/Birman_1.jpg", "images/pug_1.jpg"), ("annotations/trimaps/Birman_1.png",)),
        (("benign/benign (1).png",), ("benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png")),
    ],
)
def test_masks_are_known_by_their_folder_or_name_and_by_the_images_beside_them(
    images: tuple[str, ...], masks: tuple[str, ...]
) -> None:
    assert {path: reason.partition(";")[0] for path, reason in found(*images, *masks).items()} == dict.fromkeys(
        masks, MASK
    )


@pytest.mark.parametrize(
    "paths",
    [
        ("costumes/masks/m1.jpg", "costumes/hats/h1.jpg"),
        ("masks/venice.jpg", "photos/berlin.jpg", "paintings/rome.jpg"),
        ("face/1.jpg", "face_mask/1.jpg"),
        ("with_mask/1.jpg", "without_mask/1.jpg"),
        ("a/1_mask.jpg", "a/2_mask.jpg", "b/1.jpg"),
        ("labels/wine1.jpg", "bottles/wine1.jpg"),
    ],
)
def test_classes_of_things_that_are_named_so_stay_classes(paths: tuple[str, ...]) -> None:
    assert found(*paths) == {}


def test_one_or_two_images_beside_class_folders_are_in_no_class_and_more_are_a_class() -> None:
    classes = [f"birds/{name}/{number}.jpg" for name in ("robin", "wren") for number in range(4)]
    assert found("birds/cover.jpg", *classes) == {"birds/cover.jpg": BESIDE}
    assert found(*(f"birds/{number}.jpg" for number in range(3)), *classes) == {}
    assert found("Greek/alpha/1.png", "Greek/1.png", "Greek/2.png") == {}, "as many as its only class folder"


def test_masks_are_not_counted_as_class_folders() -> None:
    masks = {f"a/masks/{number}.png": IN_MASK_FOLDER for number in range(5)}
    assert found("a/0.jpg", *(f"a/{number}.jpg" for number in range(1, 5)), *masks) == masks
