"""Stage split: one row a class and rotation, and a class with all its rotations in one split."""

import json
from pathlib import Path
from typing import Any

import pytest

from kshot.data.splits import SPLITS
from kshot.errors import DataError
from kshot.lifecycle.data.packed import read_classes
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest, split
from tests.lifecycle.raw_project import SMALL, settings, write_raw

CLASSES = [f"{script}/letter {i}" for script in ("עברית", "Ελληνικά", "한글", "c") for i in range(3)]
TABLE = {name: SPLITS[i % 3] for i, name in enumerate(CLASSES)}


def run(root: Path, table: dict[str, str] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """The rows of classes.parquet."""
    write_raw(root, dict.fromkeys(CLASSES, 1), table)
    params = settings(**{**SMALL, "split": {**SMALL["split"], **changes}})
    ingest.run(root, params)
    split.run(root, params)
    return read_classes(root).to_dict("records")  # type: ignore[return-value]


def summary(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / layout.SPLIT / "split.json").read_text())
    return found


def test_every_class_has_one_row_in_the_order_of_the_names(tmp_path: Path) -> None:
    rows = run(tmp_path)
    assert [row["class"] for row in rows] == sorted(CLASSES)
    assert {row["rotation"] for row in rows} == {0}
    assert all(row["group"] == row["class"].split("/")[0] for row in rows)
    assert summary(tmp_path) == {"by": "class", "train": 6, "val": 3, "test": 3}


def test_rotations_are_rows_of_their_own_in_the_split_of_their_class(tmp_path: Path) -> None:
    rows = run(tmp_path, rotations="all")
    assert [row["rotation"] for row in rows] == [0, 1, 2, 3] * 12
    assert len({(row["class"], row["split"]) for row in rows}) == 12
    assert summary(tmp_path)["train"] == 6


def test_the_classes_to_train_on_may_turn_while_those_of_the_test_stand(tmp_path: Path) -> None:
    rows = run(tmp_path, rotations="train")
    turned = [row["split"] for row in rows if row["rotation"]]
    assert set(turned) == {"train"}
    assert len(turned) == 3 * summary(tmp_path)["train"]


def test_groups_stay_whole(tmp_path: Path) -> None:
    rows = run(tmp_path, by="auto")
    assert len({(row["group"], row["split"]) for row in rows}) == 4
    assert summary(tmp_path) == {"by": "group", "train": 6, "val": 3, "test": 3}


def test_the_table_of_the_data_is_followed(tmp_path: Path) -> None:
    rows = run(tmp_path, TABLE, by="auto")
    assert {row["class"]: row["split"] for row in rows} == TABLE
    assert summary(tmp_path)["by"] == "table"


def test_a_table_is_set_aside_on_demand(tmp_path: Path) -> None:
    run(tmp_path, TABLE, by="group")
    assert summary(tmp_path)["by"] == "group"


def test_shares_that_leave_no_class_to_train_on_name_the_command_that_fits_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave none to train on.*: kshot fit-settings --yes$"):
        run(tmp_path, by="class", val=0.48, test=0.51)


def test_a_table_that_is_asked_for_and_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split.by is table, but the data brings no split.*: kshot fit-settings --yes$"):
        run(tmp_path, by="table")


def test_a_split_that_the_table_does_not_have_is_drawn_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, {name: "test" if split == "test" else "train" for name, split in TABLE.items()}, by="auto")
    assert summary(tmp_path) == {"by": "table", "train": 5, "val": 3, "test": 4}
    assert "the table has none for val" in capsys.readouterr().out
