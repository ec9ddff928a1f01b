"""Classes by folders: wrapper folders of an archive are not part of a name, and similar names are reported."""

from pathlib import Path

import pytest

from kshot.lifecycle.sources.classes import Classes, Reading, classes_of


def of(*paths: str, leaves: tuple[str, ...] = (), packed: bool = False) -> Classes:
    return classes_of([Path(path) for path in paths], [Path(leaf) for leaf in leaves], packed=packed)


def test_one_folder_around_a_whole_archive_is_no_part_of_the_names() -> None:
    found = of("birds/robin/1.png", "birds/wren/2.png", leaves=("birds/robin", "birds/owl", "docs"), packed=True)
    assert found.labels == ["robin", "wren"]
    assert found.empty == ["docs", "owl"]
    assert found.notes == ["the folder birds/ around all others is no part of the class names"]


def test_a_folder_that_holds_images_wraps_nothing() -> None:
    assert of("robin/1.png", "robin/2.png", packed=True).labels == ["robin", "robin"]
    assert of("a/1.png", "a/b/2.png", packed=True).labels == ["a", "a/b"]


def test_the_one_folder_in_a_folder_is_a_part_of_the_names_and_told() -> None:
    found = of("Greek/alpha/1.png", "Greek/beta/1.png")
    assert found.labels == ["Greek/alpha", "Greek/beta"]
    assert "all classes lie in Greek/" in found.notes[0]


@pytest.mark.parametrize(("prefix", "packed"), [("", False), ("tiny-imagenet-200/", True)])
def test_the_same_folder_inside_each_class_folder_is_no_part_of_the_names(prefix: str, packed: bool) -> None:
    paths = [f"{prefix}{name}/images/1.JPEG" for name in ("train/n00", "train/n01", "val/n02")]
    found = of(*paths, leaves=(f"{prefix}train/n03/images", f"{prefix}train/n04"), packed=packed)
    assert found.labels == ["n00", "n01", "n02"]
    assert found.splits == {"n00": "train", "n01": "train", "n02": "val"}
    assert found.empty == ["n03", "n04"]
    assert "the folder images/ in each class folder is no part of the class names" in found.notes


@pytest.mark.parametrize(
    "paths", [("n00/images/1.png", "n01/photos/1.png"), ("n00/images/1.png",), ("n00/images/1.png", "images/1.png")]
)
def test_an_inner_folder_that_not_each_class_has_is_a_part_of_the_names(paths: tuple[str, ...]) -> None:
    assert of(*paths).labels == [str(Path(path).parent) for path in paths]


def test_a_class_is_empty_where_no_split_has_an_image_of_it() -> None:
    found = of("train/a/1.png", "train/b/1.png", "test/a/1.png", leaves=("train/a", "test/b", "test/c"))
    assert found.labels == ["a", "b", "a"]
    assert found.empty == ["c"]


def test_names_that_differ_in_unicode_form_are_one_class() -> None:
    found = of("\u00e9/1.png", "e\u0301/1.png", "A/1.png", "a/1.png")
    assert found.labels == ["\u00e9", "\u00e9", "A", "a"]
    assert found.notes == ["2 names are one class, \u00e9: they differ only in Unicode form"]


def test_all_folders_around_an_archive_are_no_part_of_the_names() -> None:
    found = of("shop/images/apple/1.png", "shop/images/pear/2.png", leaves=("shop/images/plum",), packed=True)
    assert (found.labels, found.empty) == (["apple", "pear"], ["plum"])
    assert found.notes == ["the folder shop/images/ around all others is no part of the class names"]


def test_a_folder_that_begins_the_names_of_classes_that_are_there_is_a_part_of_the_names() -> None:
    paths = [Path("photos/Fruit/Kiwi/1.png"), Path("photos/Fruit/Lime/2.png")]
    found = classes_of(paths, [], packed=True, reading=Reading(there=["Fruit/Lime", "Nuts/Almond"]))
    assert found.labels == ["Fruit/Kiwi", "Fruit/Lime"]


def test_a_folder_around_classes_that_come_to_others_in_it_is_not_told() -> None:
    paths = [Path("Fruit/Kiwi/1.png"), Path("Fruit/Lime/2.png")]
    assert classes_of(paths, [], packed=False, reading=Reading(there=["Fruit/Apple", "Nuts/Almond"])).notes == []
    assert (
        "all classes lie in Fruit/"
        in classes_of(paths, [], packed=False, reading=Reading(there=["Nuts/Almond"])).notes[0]
    )


def test_a_split_beside_a_folder_that_is_named_otherwise_is_told() -> None:
    found = of("train/a/0.png", "train/b/0.png", "eval/c/0.png")
    assert found.labels == ["train/a", "train/b", "eval/c"]
    (note,) = found.notes
    assert note.startswith(
        "train/ is named like a split, and eval/ beside it is not: both are parts of the class names"
    )


def test_a_class_that_is_named_train_is_one() -> None:
    found = of("train/0.png", "bus/0.png", "car/0.png")
    assert (found.labels, found.notes) == (["train", "bus", "car"], [])


def test_images_beside_the_class_folders_of_a_group_are_a_class_and_told() -> None:
    found = of("birds/0.png", "birds/robin/1.png", "birds/wren/1.png", "fish/1.png")
    assert found.labels == ["birds", "birds/robin", "birds/wren", "fish"]
    (note,) = found.notes
    assert note.startswith("images lie next to class folders, and are a separate class: birds and birds/robin;")


def test_folds_around_all_classes_are_no_part_of_the_names() -> None:
    found = of("fold1/a/0.png", "fold1/b/0.png", "fold2/a/1.png", leaves=("fold2/c",))
    assert (found.labels, found.empty) == (["a", "b", "a"], ["c"])
    assert found.notes == ["fold1/, fold2/ are folds, no part of the class names: a class's images are put together"]
    assert of("fold1/0.png", "fold2/1.png").labels == ["fold1", "fold2"], "they hold images of no class"


def test_groups_that_all_have_the_same_classes_are_told_unless_these_are_numbered() -> None:
    (note,) = of(*(f"{group}/{part}/0.png" for group in ("ant", "bee") for part in ("original", "augmented"))).notes
    assert note.startswith("each group has the same classes (augmented, original): ant/augmented and bee/augmented are")
    assert of("Greek/c01/0.png", "Greek/c02/0.png", "Latin/c01/0.png", "Latin/c02/0.png").notes == []
