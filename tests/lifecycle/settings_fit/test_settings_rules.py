"""One row for each shape of data: the settings it gets, and the treatment of classes that are too small."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from kshot.data.class_supply import ClassSupply
from kshot.data.splits import split_classes
from kshot.errors import DataError
from kshot.lifecycle.settings_fit.data_profile import DataProfile, shared_files
from kshot.lifecycle.settings_fit.fitted_settings import FittedSettings, NoWeights, Start
from kshot.lifecycle.settings_fit.image_traits import ImageTraits
from kshot.lifecycle.settings_fit.settings_rules import fit_settings
from kshot.params.sections.split import Split

WEIGHTS = Start(".kshot/weights/tf_efficientnet_lite0.safetensors")
PHOTOGRAPHS = ImageTraits(256, 348, 1.5, colour=1.0, plain=0.05, light=1.0, extent=0.9)
ON_WHITE = ImageTraits(256, 105, 1.0, colour=0.0, plain=1.0, light=1.0, extent=0.5)
ON_BLACK = dataclasses.replace(ON_WHITE, light=0.0, extent=0.9)
SMALL = dataclasses.replace(PHOTOGRAPHS, short_side=30)
LARGE = dataclasses.replace(PHOTOGRAPHS, short_side=3000)
GROCERIES = [34 + 2 * number for number in range(51)]  # images of each class


def profile(counts: Sequence[int], traits: ImageTraits = PHOTOGRAPHS, splits: Sequence[str] = ()) -> DataProfile:
    rows = zip(counts, splits or [""] * len(counts), strict=True)
    classes = tuple(ClassSupply(f"c{number:04d}", *row[:1], "", row[1]) for number, row in enumerate(rows))
    return DataProfile(traits, classes, sum(counts))


def protocols(fitted: FittedSettings) -> list[str]:
    assert fitted.values()["episodes.protocols"] == fitted.values()["episodes.n_query"] == "auto"
    return list(fitted.episodes.protocols)


FOUR = ["5w1s", "5w5s", "10w1s", "10w5s"]
ALL = [*FOUR, "20w1s", "20w5s"]
PRETRAINED = {
    "train.network.backbone": "tf_efficientnet_lite0",
    "train.network.checkpoint": WEIGHTS.checkpoint,
    "ingest.invert": False,
}
FROM_NOTHING = {
    "train.network.backbone": "conv4",
    "train.network.checkpoint": None,
    "train.network.adaptation": "full",
    "ingest.size": 28,
}
ROWS: dict[str, tuple[DataProfile, list[str], dict[str, Any]]] = {
    "groceries": (
        profile(GROCERIES),
        FOUR,
        {
            **PRETRAINED,
            "ingest.size": 288,
            "ingest.channels": 3,
            "train.network.adaptation": "projection",
            "train.network.features": ["blocks.4", "blocks.6", "output"],
            "train.projection.l2_normalize": False,
            "train.projection.reduce": {"dim": 256, "whiten": False},
        }
        | {"train.batch.classes": "auto", "train.batch.images": 5, "gate.min_accuracy": "auto"},
    ),
    "8 classes of 12": (
        profile([12] * 8),
        ["3w1s", "3w5s"],
        {**PRETRAINED, "train.network.adaptation": "frozen", "train.batch.classes": "auto", "train.splits": ["train"]}
        | {"train.batch.mine_neighbours": 3, "train.validation.protocol": "auto"},
    ),
    "12 classes": (
        profile([40] * 12),
        ["5w1s", "5w5s"],
        {"train.batch.classes": "auto", "train.network.adaptation": "frozen"},
    ),
    "fewer training images than components need": (
        profile([14] * 40),
        ["5w1s", "5w5s"],
        {"train.network.adaptation": "projection", "train.projection.reduce": {"dim": None, "whiten": False}},
    ),
    "2,000 classes of 3": (
        profile([3] * 2000),
        ["5w1s", "10w1s", "20w1s"],
        {"train.batch.images": 3, "train.splits": ["train"]},
    ),
    "grey drawings on white": (
        profile([20] * 200, ON_WHITE),
        ALL,
        {**FROM_NOTHING, "ingest.invert": True, "ingest.crop": "ink", "ingest.channels": 1}
        | {"train.batch.classes": "auto", "train.batch.images": 6, "train.method.name": "metric"},
    ),
    "drawings on black": (profile([20] * 200, ON_BLACK), ALL, {"ingest.invert": False, "ingest.fit": "squash"}),
    "photographs of 30 pixels": (profile(GROCERIES, SMALL), FOUR, {"ingest.size": 30, "train.network.input_size": 96}),
    "photographs of 4,000 pixels": (
        profile(GROCERIES, LARGE),
        FOUR,
        {"ingest.size": 288, "train.network.input_size": 288},
    ),
    "photographs of 250 pixels": (
        profile(GROCERIES, dataclasses.replace(PHOTOGRAPHS, short_side=250)),
        FOUR,
        {"ingest.size": 250, "train.network.input_size": 250},
    ),
    "a split of its own": (
        profile([30] * 30, splits=["train"] * 10 + ["val"] * 9 + ["test"] * 11),
        ["5w1s", "5w5s"],
        {"split.by": "table", "train.batch.classes": "auto"},
    ),
}


@pytest.mark.parametrize(
    ("data", "now"),
    [
        (profile(GROCERIES), "16 now, of 28 training classes"),
        (profile([40] * 12), "2 now, of 2 training classes"),
        (profile([20] * 200, ON_WHITE), "60 now, of 110 training classes"),
    ],
)
def test_a_batch_follows_the_training_classes_and_the_reason_says_how_many_now(data: DataProfile, now: str) -> None:
    (batch,) = (one for one in fit_settings(data, WEIGHTS).settings if one.key == "train.batch.classes")
    assert batch.value == "auto" and batch.reason == now


def test_the_batch_of_photographs_from_scratch_is_a_number() -> None:
    from_scratch = fit_settings(profile(GROCERIES), Start(None))
    assert from_scratch.values()["train.batch.classes"] == 16, "auto has 60 classes where nothing is pretrained"


def as_split(fitted: FittedSettings) -> Split:
    return Split(**{key.removeprefix("split."): v for key, v in fitted.values().items() if key.startswith("split.")})


def places(data: DataProfile, now: Split) -> dict[str, str]:
    names = {one.name: "" for one in data.classes}
    return split_classes(names, names, by=now.by, val=now.val, test=now.test, seed=now.seed, assign=now.assign)


@pytest.mark.parametrize(("first", "then"), [(51, 52), (18, 23), (51, 76), (12, 200)])
def test_classes_keep_their_split_as_the_data_grows(first: int, then: int) -> None:
    small, large = profile([30] * first), profile([30] * then)
    now = as_split(fit_settings(small, WEIGHTS))
    assert now.assign == "hash"
    later = as_split(fit_settings(large, WEIGHTS, now))
    before, after = places(small, now), places(large, later)
    moved = [(before[name], after[name]) for name in before if before[name] != after[name]]
    assert (later == now and not moved) or then >= 10 * first
    assert ("train", "test") not in moved  # what the champion has learned would be asked


def test_an_exact_split_of_ranks_becomes_that_of_hashes_without_a_move() -> None:
    data = profile(GROCERIES)
    old = Split("class", val=0.2, test=0.25, seed=3, rotations="none", assign="rank")
    assert places(data, as_split(fit_settings(data, WEIGHTS, old))) == places(data, old)


@pytest.mark.parametrize("name", ROWS)
def test_a_shape_of_data_gets_its_settings(name: str) -> None:
    given, wanted, some = ROWS[name]
    fitted = fit_settings(given, WEIGHTS)
    found = fitted.values()
    assert protocols(fitted) == wanted
    assert {key: found[key] for key in some} == some
    assert fitted.left_out == ()
    # The same settings are decided whatever the data, so that those for other data are replaced.
    assert list(found) == list(fit_settings(profile(GROCERIES), WEIGHTS).values())


@pytest.mark.parametrize("few", [2, 4])
def test_too_few_classes_stop_with_what_is_needed(few: int) -> None:
    needed = (
        f"{few} classes have two different images or more; needs at least 5, two to test on and three to train on: add"
    )
    with pytest.raises(DataError, match=f"{needed} images to the 20 classes with one"):
        fit_settings(profile([9] * few + [1] * 20), WEIGHTS)
    with pytest.raises(DataError, match=f"{needed} classes"):
        fit_settings(profile([9] * few), WEIGHTS)
    with pytest.raises(
        DataError, match="no class has two different images or more; .* add images to the 30 classes with one"
    ):
        fit_settings(profile([1] * 30), WEIGHTS)


def test_other_weights_get_the_size_that_they_were_trained_with() -> None:
    fitted = fit_settings(profile(GROCERIES, LARGE), Start("vit.safetensors", "vit_small_patch16_224"))
    found = fitted.values()
    assert (found["ingest.size"], found["train.network.input_size"]) == (224, None)
    reason = next(one.reason for one in fitted.settings if one.key == "ingest.size")
    assert "most published weights" in reason, "nobody knows what the weights of a file were trained with"


def test_photographs_are_trained_from_nothing_only_where_somebody_says_so() -> None:
    with pytest.raises(NoWeights, match="pip install 'kshot.photographs.*--weights FILE.*--from-scratch"):
        fit_settings(profile(GROCERIES), None)
    found = fit_settings(profile(GROCERIES), Start(None)).values()
    assert (found["train.network.backbone"], found["train.network.checkpoint"], found["ingest.size"]) == (
        "conv4",
        None,
        84,
    )
    assert found["train.augment"] == {"preset": "photographs"}
    drawn = fit_settings(profile([20] * 200, ON_WHITE), None).values()
    assert drawn["train.augment"]["degrees"] == 10.0
    assert drawn["train.network.backbone"] == "conv4"


def test_weights_that_a_person_named_for_drawings_are_said_to_be_unused() -> None:
    own = Start(".kshot/weights/resnet50-12345678.safetensors", "resnet50")
    line = "the weights .kshot/weights/resnet50-12345678.safetensors are not used: the images are drawings"
    assert fit_settings(profile([20] * 12, ON_WHITE), own).left_out[0].startswith(line)
    assert fit_settings(profile([20] * 12, ON_WHITE), WEIGHTS).left_out == ()
    assert fit_settings(profile([20] * 12), own).left_out == ()


def test_small_classes_are_named_and_the_others_decide_how_many_queries() -> None:
    """Ranked by hash, one of the small classes is to be validated on; the class of one image is used nowhere."""
    counts = [40] * 60
    counts[3:9] = [7, 7, 7, 7, 7, 1]
    fitted = fit_settings(profile(counts), WEIGHTS)
    assert fitted.episodes.n_query == 15
    single, *others = fitted.left_out
    assert single == "used nowhere, as 2 images are needed: 1 class, c0008 (1)"
    assert others and all("c000" in line and "(7)" in line for line in others)
    assert {line.partition(" images a class")[0].rpartition("(")[2] for line in others} == {"16", "20"}


def test_single_images_do_not_use_up_the_classes_that_validate_and_test() -> None:
    fitted = fit_settings(profile([1] * 40 + [10] * 16), WEIGHTS)
    assert protocols(fitted) == ["5w1s", "5w5s"]
    assert "40 classes, c0000 (1), c0001 (1)" in fitted.left_out[0] and "and 35 more" in fitted.left_out[0]


def test_the_gate_asks_with_one_shot_where_more_shots_have_fewer_ways() -> None:
    fitted = fit_settings(profile([9, 9, 9, 3, 9, 1, 9, 9, 9, 3, 9, 1, 9, 9, 3, 9, 9, 9]), WEIGHTS).episodes
    assert fitted.protocols[fitted.first].k_shot == fitted.protocols[fitted.widest].k_shot == 1


def test_five_classes_test_two_and_train_the_others_without_validation() -> None:
    fitted = fit_settings(profile([9] * 5), WEIGHTS)
    found = fitted.values()
    assert protocols(fitted) == ["2w1s", "2w5s"] and found["train.batch.classes"] == "auto"
    assert (found["train.splits"], found["train.validation.patience"]) == (["train", "val"], 0)
    how = next(one.reason for one in fitted.settings if one.key == "split.by")
    counts = Counter(places(profile([9] * 5), as_split(fitted)).values())  # as stage split prints them
    assert (counts["train"], counts["val"], counts["test"]) == (1, 2, 2)
    assert "1 class in train, 2 in val, 2 in test" in how


def test_another_seed_is_taken_where_classes_of_one_image_would_leave_a_split_empty() -> None:
    fitted = fit_settings(profile([9] * 6 + [1] * 3), WEIGHTS)
    assert protocols(fitted) == ["2w1s", "2w5s"] and fitted.values()["train.splits"] == ["train"]


def test_a_million_photographs_are_stored_as_jpeg_and_ten_million_smaller_too() -> None:
    few, million, ten = (fit_settings(profile([1000] * classes), WEIGHTS).values() for classes in (40, 1_000, 10_000))
    assert (few["ingest.store"], few["ingest.size"]) == ("pixels", 288)
    assert (million["ingest.store"], million["ingest.size"]) == ("jpeg", 288)
    assert ten["ingest.store"] == "jpeg" and 64 <= ten["ingest.size"] < 224


def test_files_in_two_classes_are_counted_by_pair() -> None:
    found = shared_files({"b": {"1", "2", "3"}, "a": {"1", "2"}, "c": {"3", "4"}})
    assert found == (("a", "b", 2), ("b", "c", 1)) and shared_files({"a": {"1"}, "b": {"2"}}) == ()


@pytest.mark.parametrize(
    "splits", [["train"] * 8 + ["test"] * 4, ["train"] * 8 + ["val"] * 4, ["train"] * 6 + ["test"] * 20]
)
def test_a_table_that_lacks_a_split_leaves_shares_below_one(splits: list[str]) -> None:
    found = fit_settings(profile([12] * len(splits), splits=splits), WEIGHTS).values()
    assert found["split.val"] > 0 and found["split.test"] > 0 and found["split.val"] + found["split.test"] < 1


def test_on_a_gpu_the_backbone_is_adapted_by_lora() -> None:
    values = fit_settings(profile(GROCERIES), WEIGHTS._replace(gpu=True)).values()
    assert (values["train.network.adaptation"], values["train.projection.dim"]) == ("lora", None)
    assert values["train.augment"] == {"preset": "photographs"} and values["train.network.input_size"] is None
    assert values["train.projection.reduce"] == {"dim": None, "whiten": False}
    few = fit_settings(profile([40] * 12), WEIGHTS._replace(gpu=True)).values()
    assert few["train.network.adaptation"] == "frozen"
