"""The tables that the checks read, each figure by hand."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from kshot.lifecycle.validation.checked_tables import survives, tables
from kshot.lifecycle.validation.checks import checks
from kshot.params.schema import Params, load_params
from kshot.params.sections.episodes import Protocol
from tests.short_names import train_with

REPOSITORY = Path(__file__).parents[3]


def settings(splits: tuple[str, ...] = ("train",), **protocols: Protocol) -> Params:
    """Batches of 4 classes x 3 images, episodes of 2 queries: 3 ways 1 shot, 2 ways 5 shots within a group."""
    params = load_params(REPOSITORY / "params.yaml")
    chosen = protocols or {"3w1s": Protocol(3, 1, False), "2w5s": Protocol(2, 5, True)}
    episodes = dataclasses.replace(params.episodes, n_query=2, protocols=chosen)
    train = train_with(
        params.train,
        splits=splits,
        classes_per_batch=4,
        images_per_class=3,
        patience=0,
        validation_protocol=next(iter(chosen)),
    )
    gate = dataclasses.replace(params.gate, min_accuracy=dict.fromkeys(chosen, 0.5), group_protocol=next(iter(chosen)))
    return dataclasses.replace(params, episodes=episodes, train=train, gate=gate)


def manifest(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    """Rows of class, content, width, height; the files are numbered."""
    table = pd.DataFrame(rows, columns=["class", "content", "width", "height"])
    return table.assign(path=[f"images/{row[0]}/{i}.png" for i, row in enumerate(rows)])


def classes(*rows: tuple[str, str], turns: int = 1) -> pd.DataFrame:
    """Rows of class and split, each in as many rotations; the group is the class's first letter."""
    return pd.DataFrame(
        [
            {"class": name, "group": name[0], "rotation": turn, "split": split}
            for name, split in rows
            for turn in range(turns)
        ]
    )


NONE = pd.DataFrame({"path": [], "class": [], "reason": []})
IMAGES = manifest(("a", "1", 10, 10), ("a", "2", 30, 10), ("b", "1", 4, 8), ("c", "4", 9, 9), ("c", "4", 9, 9))
PLACES = classes(("a", "train"), ("b", "test"), ("c", "val"))


def test_the_share_of_unreadable_files_is_of_all_files() -> None:
    lost = pd.DataFrame({"path": ["x.png"], "class": ["a"], "reason": ["the file is empty"]})
    row = tables(IMAGES, lost, PLACES, settings())["files"].iloc[0]
    assert (row["files"], row["unreadable"]) == (6, 1)
    assert row["unreadable_share"] == pytest.approx(1 / 6)
    assert row["examples"] == "x.png (the file is empty)"


def test_the_sides_of_a_image() -> None:
    table = tables(IMAGES, NONE, PLACES, settings())["images"]
    assert table["short_side"].tolist() == [10, 10, 4, 9, 9]
    assert table["aspect_ratio"].tolist() == [1, 3, 2, 1, 1]


def test_an_image_knows_under_how_many_classes_and_splits_it_lies_and_its_twin() -> None:
    table = tables(IMAGES, NONE, PLACES, settings())["images"]
    assert table["content_classes"].tolist() == [2, 1, 2, 1, 1]
    assert table["content_splits"].tolist() == [2, 1, 2, 1, 1]
    assert table.loc[0, "twin"] == "images/b/2.png"
    assert table.loc[2, "twin"] == "images/a/0.png"


def test_an_image_counts_once_in_its_class() -> None:
    table = tables(IMAGES, NONE, PLACES, settings())["classes"].set_index("name")
    assert table["images"].to_dict() == {"a": 2, "b": 1, "c": 1}


def test_what_a_class_needs_depends_on_its_split() -> None:
    table = tables(IMAGES, NONE, PLACES, settings())["classes"].set_index("name")
    assert table["needed"].to_dict() == {"a": 2, "b": 7, "c": 7}  # a pair; 5 shots and 2 queries
    assert table["missing_images"].to_dict() == {"a": 0, "b": 6, "c": 6}
    assert table["demand"].to_dict() == {
        "a": "a batch",
        "b": "k_shot + n_query",
        "c": "k_shot + n_query",
    }


def test_rotations_do_not_change_what_a_class_has() -> None:
    turned = classes(("a", "train"), ("b", "test"), ("c", "val"), turns=4)
    plain = tables(IMAGES, NONE, PLACES, settings())
    pd.testing.assert_frame_equal(tables(IMAGES, NONE, turned, settings())["classes"], plain["classes"])


def test_a_class_in_two_splits_is_counted() -> None:
    double = classes(("a", "train"), ("a", "test"), ("b", "test"), ("c", "val"))
    row = tables(IMAGES, NONE, double, settings())["classes"].set_index("name").loc["a"]
    assert (row["n_splits"], row["splits"], row["needed"]) == (2, "test and train", 7)


def test_what_a_split_needs() -> None:
    table = classes(
        *[(f"a{i}", "train") for i in range(5)],
        *[("b1", "val"), ("c1", "val")],
        *[("d1", "test"), ("d2", "test"), ("e1", "test")],
    )
    found = tables(IMAGES, NONE, table, settings())["splits"]
    columns = ["name", "demand", "classes", "needed", "missing_classes"]
    assert [tuple(row) for row in found[columns].itertuples(index=False)] == [
        ("split 'train'", "train.batch.classes", 5, 4, 0),
        ("split 'val'", "episodes.protocols.3w1s.n_way", 2, 3, 1),
        ("the largest group of split 'val'", "episodes.protocols.2w5s.n_way", 1, 2, 1),
        ("split 'test'", "episodes.protocols.3w1s.n_way", 3, 3, 0),
        ("the largest group of split 'test'", "episodes.protocols.2w5s.n_way", 2, 2, 0),
    ]


def test_rotations_count_as_classes_of_a_split() -> None:
    table = classes(("a", "train"), ("b", "val"), ("c", "test"), turns=4)
    assert tables(IMAGES, NONE, table, settings())["splits"]["classes"].tolist() == [4] * 5


def test_a_final_model_draws_its_batches_from_two_splits() -> None:
    row = tables(IMAGES, NONE, PLACES, settings(splits=("train", "val")))["splits"].iloc[0]
    assert (row["name"], row["classes"], row["missing_classes"]) == ("split 'train' and split 'val'", 2, 2)


def test_no_class_has_a_group_where_there_are_none() -> None:
    table = classes(("a", "train"), ("b", "val"), ("c", "test")).assign(group="")
    found = tables(IMAGES, NONE, table, settings(x=Protocol(2, 1, True)))["splits"]
    assert found["classes"].tolist() == [1, 0, 0]


def test_every_check_reads_a_table_and_a_column_that_are_there() -> None:
    found = tables(IMAGES, NONE, PLACES, settings())
    for check in checks(settings()):
        assert check.arguments["column"] in found[check.table], check.name
        assert check.text(found[check.table].iloc[0])
        assert check.remedy


@pytest.mark.parametrize("name", ["a", "two words", "한글/가", "a'b\"c,d;e", "001", "NA", "null", "True", "😀"])
def test_names_that_survive(name: str) -> None:
    assert survives(name)


@pytest.mark.parametrize("name", ["", "a//b", " a", "a ", "a/ b", "a\nb", "a\\b", "..", "\ud800", "e\u0301"])
def test_names_that_do_not_survive(name: str) -> None:
    assert not survives(name)


def by_drawer(drawers: list[str] | None) -> dict[str, pd.DataFrame]:
    """The tables of four classes of two images, of which one protocol asks 2 ways by drawers."""
    images = manifest(*((name, f"{name}{number}", 9, 9) for name in ("aa", "ab", "ba", "bb") for number in range(2)))
    images = images if drawers is None else images.assign(drawer=drawers)
    places = classes(("aa", "test"), ("ab", "test"), ("ba", "val"), ("bb", "train"))
    return tables(images, NONE, places, settings(two=Protocol(2, 1, False, by_drawer=True, n_query=1)))


def test_images_without_a_drawer_are_counted() -> None:
    assert by_drawer(None)["files"]["without_drawer"].tolist() == [8]
    assert by_drawer(["Ada", ""] * 4)["files"]["without_drawer"].tolist() == [4]


@pytest.mark.parametrize(
    ("drawers", "shared"), [(["Ada", "Bo"] * 4, 2), (["Ada", "Bo", "Ada", "Cy"] * 2, 1), (None, 0)]
)
def test_by_drawer_demands_classes_that_two_drawers_share(drawers: list[str] | None, shared: int) -> None:
    table = by_drawer(drawers)["splits"].set_index("name")
    row = table.loc["the best pair of drawers of split 'test'"]
    assert (row["classes"], row["needed"], row["missing_classes"]) == (shared, 2, 2 - shared)


def test_only_a_protocol_by_drawers_asks_for_them() -> None:
    asks = [
        any(check.name == "images name their drawers" for check in checks(each))
        for each in (
            settings(),
            settings(two=Protocol(2, 1, False, by_drawer=True)),
        )
    ]
    assert asks == [False, True]


def test_queries_of_a_protocol_of_its_own_count_as_its_own() -> None:
    table = tables(IMAGES, NONE, PLACES, settings(few=Protocol(3, 1, False, n_query=7)))["classes"].set_index("name")
    assert table.loc["b", "needed"] == 8
