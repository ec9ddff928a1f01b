"""Stage validate: valid data passes, and each kind of bad data is reported by expectation, class and file."""

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from kshot.errors import ValidationFailed
from kshot.lifecycle.data.packed import read_classes
from kshot.lifecycle.params_file import settings as settings_file
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest, split, validate
from kshot.lifecycle.validation.text import FITTING, PAGE
from kshot.params.schema import params_from
from tests.lifecycle.page_loads import loads
from tests.lifecycle.raw_project import SMALL, image, settings, write_manifest, write_raw

CLASSES = [f"{script}/{letter}" for script in ("Ελληνικά", "two words", "한글") for letter in "abcd"]
TABLE = {name: ("train", "val", "test")[i // 4] for i, name in enumerate(CLASSES)}
Spoil = Callable[[Path], object]


def run(root: Path, spoil: Spoil = lambda images: None, **changes: dict[str, Any]) -> None:
    """Make a sound project, spoil its images, and run the stages up to validate."""
    spoil(write_raw(root, dict.fromkeys(CLASSES, 4)))
    write_manifest(root, TABLE)
    sections: dict[str, Any] = {**SMALL, "split": {"by": "table"}}
    params = settings(**{key: {**sections.get(key, {}), **changes.get(key, {})} for key in {*sections, *changes}})
    for stage in (ingest, split, validate):
        stage.run(root, params)


def report(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / layout.VALIDATION / "validation.json").read_text(encoding="utf-8"))
    return found


def failed(root: Path) -> list[str]:
    return [check["check"] for check in report(root)["checks"] if not check["passed"]]


def test_sound_data_passes_and_leaves_a_readable_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    found = report(tmp_path)
    assert found["passed"] is True
    assert len(found["checks"]) == 9
    assert all(check["passed"] and check["broken_by"] == [] for check in found["checks"])
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "All 9 checks of the data hold" in page and loads(page) == []
    out, err = capfd.readouterr()
    assert out.splitlines()[-1] == "9 expectations hold for 48 images"
    assert err == ""


def test_the_record_is_the_same_each_time(tmp_path: Path) -> None:
    run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / layout.VALIDATION).iterdir()}
    shutil.rmtree(tmp_path / layout.VALIDATION)
    run(tmp_path)
    assert {path: path.read_bytes() for path in (tmp_path / layout.VALIDATION).iterdir()} == before


def save(path: Path, width: int, height: int) -> None:
    buffer = io.BytesIO(image(path.name, height, width))
    Image.open(buffer).save(path)


def remove(images: Path, *names: str) -> None:
    for name in names:
        (images / name).unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


BAD: list[tuple[str, Spoil, str, str]] = [
    (
        "a truncated image",
        lambda images: truncate(images / "한글/a/0.png"),
        "files are readable",
        r"1 of 48 files: images/한글/a/0.png \(it cannot be decoded",
    ),
    (
        "a text named .png",
        lambda images: (images / "한글/a/note.png").write_text("a note"),
        "files are readable",
        r"1 of 49 files: images/한글/a/note.png \(it is no image",
    ),
    (
        "an empty file",
        lambda images: (images / "한글/a/none.png").write_bytes(b""),
        "files are readable",
        r"none.png \(the file is empty\)",
    ),
    (
        "many files that cannot be read",
        lambda images: [(images / f"한글/a/note {i}.png").write_text("x") for i in range(5)],
        "files are readable",
        r"5 of 53 files: .* and 2 more",
    ),
    (
        "too few classes left that have images enough",
        lambda images: remove(images, *(f"two words/{name}.png" for name in ("b/1", "b/2", "c/1", "c/2", "c/3"))),
        "classes have enough images",
        r"2 of 8 evaluation classes have under 3 images \(k_shot \+ n_query\): two words/c has 1, two words/b has 2",
    ),
    (
        "classes of one image many times",
        lambda images: [
            shutil.copy(images / f"한글/{name}/0.png", images / f"한글/{name}/{i}.png")
            for name in "ab"
            for i in (1, 2, 3)
        ],
        "classes have enough images",
        "used nowhere, as 2 images are needed: 한글/a; 한글/b",
    ),
    (
        "too few classes to train on that have a pair",
        lambda images: remove(images, *(f"Ελληνικά/b/{i}.png" for i in (1, 2, 3))),
        "classes have enough images",
        r"1 of 4 training classes have under 2 images \(a batch\): Ελληνικά/b has 1",
    ),
    (
        "a split with too few classes",
        lambda images: remove(images, *(f"한글/{letter}/{i}.png" for letter in "ab" for i in range(4))),
        "splits have enough classes",
        r"test has 2 classes; 3w1s needs 3 these settings fit .*protocols 3w1s, 2w2s -> auto \(2w1s, 2w1s_group\)",
    ),
    (
        "an image under two classes",
        lambda images: shutil.copy(images / "한글/a/0.png", images / "한글/b/copy.png"),
        "no image lies under two classes",
        "images/한글/a/0.png is the same as images/한글/b/copy.png",
    ),
    (
        "an image in two splits, as another file",
        lambda images: Image.open(images / "한글/a/0.png").save(images / "Ελληνικά/a/copy.bmp"),
        "no image lies in two splits",
        "images/Ελληνικά/a/copy.bmp is the same as images/한글/a/0.png",
    ),
    (
        "a tiny image",
        lambda images: save(images / "한글/a/tiny.png", 7, 20),
        "images are large enough",
        "images/한글/a/tiny.png is 7 x 20 needs 8 pixels a side",
    ),
    (
        "a long image",
        lambda images: save(images / "한글/a/long.png", 100, 20),
        "images are not too long",
        "images/한글/a/long.png is 100 x 20 needs at most 4.0 to 1",
    ),
]


def told(error: ValidationFailed) -> str:
    """All that a person is told, on one line."""
    return " ".join(" ".join([str(error), *error.block]).split())


@pytest.mark.parametrize(("spoil", "check", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_data_is_told(tmp_path: Path, spoil: Spoil, check: str, words: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        run(tmp_path, spoil)
    assert re.search(words, told(caught.value))
    assert check in str(caught.value) and "\n" not in str(caught.value)
    assert all(len(line) <= 78 for line in caught.value.block)
    assert check in failed(tmp_path)
    assert report(tmp_path)["passed"] is False
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert f"{check.capitalize()}: no" in page and loads(page) == []


def test_small_classes_are_left_out_and_named_where_enough_others_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"two words/b": (1, 2, 3), "한글/c": (3,), "Ελληνικά/d": (1, 2, 3)}
    lost = [f"{name}/{number}.png" for name, numbers in few.items() for number in numbers]
    run(tmp_path, lambda images: remove(images, *lost), train={"classes_per_batch": 3, "mine_neighbours": 1})
    assert report(tmp_path)["left_out"] == [
        "not trained on, as 2 images are needed: 1 class, Ελληνικά/d (1)",
        "not in episodes of 3w1s (3 images a class): 1 class, two words/b (1)",
        "not in episodes of 2w2s (4 images a class): 2 classes, two words/b (1), 한글/c (3)",
    ]
    assert capsys.readouterr().out.splitlines()[-3:] == report(tmp_path)["left_out"]


def test_a_share_of_unreadable_files_may_be_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        tmp_path,
        lambda images: (images / "한글/a/note.png").write_text("a note"),
        validate={"max_unreadable_share": 0.05},
    )
    assert report(tmp_path)["passed"] is True
    assert "set aside as unreadable: images/한글/a/note.png" in capsys.readouterr().out


def test_the_one_line_names_the_worst_example(tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed) as caught:
        run(
            tmp_path,
            lambda images: remove(images, "한글/b/0.png", *(f"two words/b/{i}.png" for i in (1, 2))),
            episodes={"n_query": 3, "protocols": {"9w1s": {"n_way": 9, "k_shot": 1, "within_group": False}}},
            train={"validation_protocol": "9w1s"},
            gate={"min_accuracy": {"9w1s": 0.5}, "group_protocol": "9w1s"},
        )
    assert str(caught.value) == (
        "the data fails 2 checks: classes have enough images (class 'two words/b' has 2 images; k_shot + n_query "
        "needs 4, and 1 more); splits have enough classes"
    )


def test_every_row_that_breaks_a_check_is_in_the_record(tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed) as caught:
        run(tmp_path, episodes={"n_query": 9}, train={"images_per_class": 9})
    assert "8 of 8 evaluation classes" in told(caught.value) and "4 each" in told(caught.value)
    broken = {check["check"]: check["broken_by"] for check in report(tmp_path)["checks"]}
    assert len(broken["classes have enough images"]) == 8  # to train on, two images are enough


def test_a_group_too_small_for_episodes_within_it_is_told(tmp_path: Path) -> None:
    within = {"5w1s": {"n_way": 5, "k_shot": 1, "within_group": True}}
    with pytest.raises(ValidationFailed) as caught:
        run(
            tmp_path,
            episodes={"protocols": within},
            train={"validation_protocol": "5w1s"},
            gate={"min_accuracy": {"5w1s": 0.5}, "group_protocol": "5w1s"},
        )
    assert "the largest group of validation has 4 classes; 5w1s needs 5" in told(caught.value)
    broken = [line for check in report(tmp_path)["checks"] for line in check["broken_by"]]
    assert (
        "episodes.protocols.5w1s.n_way is 5: at most 4 here, the classes of the largest group of split 'val'" in broken
    )


def test_a_class_in_two_splits_is_told(tmp_path: Path) -> None:
    """Stage split never writes one; a table edited by hand may."""
    run(tmp_path)
    classes = read_classes(tmp_path)
    again = classes.iloc[[0]].assign(split="test")
    path = tmp_path / layout.SPLIT / "classes.parquet"
    type(classes)(classes.to_dict("records") + again.to_dict("records")).to_parquet(path, index=False)
    with pytest.raises(ValidationFailed) as caught:
        validate.run(tmp_path, settings(**{**SMALL, "split": {"by": "table"}}))
    assert "every class lies in one split: no; two words/a in test and val" in told(caught.value)


def test_a_name_that_does_not_survive_is_told(tmp_path: Path) -> None:
    """`kshot data add` refuses one; data/raw made by other means may hold it."""
    with pytest.raises(ValidationFailed) as caught:
        run(
            tmp_path,
            lambda images: shutil.copytree(images / "Ελληνικά/a", images / "한글/ blank"),
            split={"by": "class"},
        )
    assert "class names survive a round trip: no; 한글/ blank rename" in told(caught.value)


def test_a_first_folder_of_photographs_is_told_what_to_type(tmp_path: Path) -> None:
    """Eight classes of twelve images, with the settings as shipped."""
    images = write_raw(tmp_path, {f"class{number}": 12 for number in range(8)})
    assert images.is_dir()
    write_manifest(tmp_path, {})
    shipped = params_from(yaml.safe_load((Path(__file__).parents[3] / "params.yaml").read_text(encoding="utf-8")))
    for stage in (ingest, split):
        stage.run(tmp_path, shipped)
    with pytest.raises(ValidationFailed) as caught:
        validate.run(tmp_path, shipped)
    assert "\n".join(caught.value.block) == FIRST_FOLDER.strip("\n")
    shutil.copy(Path(__file__).parents[3] / "params.yaml", tmp_path)
    text, _ = settings_file.plan(tmp_path, overlay=tmp_path / FITTING)
    fitting = params_from(yaml.safe_load(text))
    for stage in (ingest, split, validate):
        stage.run(tmp_path, fitting)


FIRST_FOLDER = """
3 of 3 evaluation classes have under 20 images (k_shot + n_query): 12 each
training has 5 classes; a batch (train.batch.classes) takes 60
validation has 1 class; 20w1s needs 20, 5w1s needs 5
test has 2 classes; 20w1s needs 20, 5w1s needs 5

these settings fit the data:
  split.by                     auto -> class
  split.val                    0.15 -> 0.325
  split.test                   0.25 -> 0.28
  split.assign                 rank -> hash
  train.batch.classes          60 -> 2
  train.batch.mine_neighbours  3 -> 1
  episodes.n_query             15 -> auto (7)
  episodes.protocols           5w1s, 5w5s, 20w1s, 20w5s -> auto (3w1s, 3w5s)
  train.validation.protocol    20w1s -> auto (3w1s)
  gate.min_accuracy            5w1s 0.8, 20w1s 0.6 -> auto (3w1s 47 %)
  gate.group_protocol          5w1s -> auto
a first model below gate.min_accuracy is not made champion
this command sets them and trains:
  kshot retrain --params reports/validation/fitting.yaml
to fit all settings to the data: kshot fit-settings --yes

all of it, with images: reports/validation/index.html
"""
