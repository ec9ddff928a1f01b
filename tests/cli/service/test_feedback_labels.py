"""Labels as a person types them: several at once, and no new class by a slip of the keyboard."""

import json
from pathlib import Path

import pytest

from kshot import cli
from kshot.cli.service.feedback_labels import nearest_names, parse_labels
from kshot.errors import ParamsError
from tests.cli.service.test_feedback import server, taught
from tests.serve.recorded_service import Recorded

__all__ = ["server"]  # the fixture


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        (["4=A,5=A"], {4: "A", 5: "A"}),
        (["4=A, 5,6=B,"], {4: "A", 5: "B", 6: "B"}),
        (["4=Peppers, red,  5=a/b c", ""], {4: "Peppers, red", 5: "a/b c"}),
        (["4,5=A", "6=c=d"], {4: "A", 5: "A", 6: "c=d"}),
        (["4=A,4=A"], {4: "A"}),
    ],
)
def test_several_labels_are_read_from_one_argument(typed: list[str], labels: dict[int, str]) -> None:
    assert parse_labels(typed) == labels


@pytest.mark.parametrize(
    ("typed", "told"), [("4=A,4=B", "item 4 is given two classes"), ("4=", "is no label"), ("4= ,5=A", "is no label")]
)
def test_a_label_that_cannot_be_meant_is_refused(typed: str, told: str) -> None:
    with pytest.raises(ParamsError, match=told):
        parse_labels([typed])


def test_the_nearest_names_have_the_same_last_part_or_are_written_alike() -> None:
    known = ["Fruit/Apple/Granny-Smith", "Fruit/Banana", "Vegetables/Carrots"]
    assert nearest_names("granny-smith", known) == ["Fruit/Apple/Granny-Smith"]
    assert nearest_names("Bananna", known) == ["Fruit/Banana"]
    assert nearest_names("zzz", known) == []


def test_a_new_class_is_made_only_where_that_is_said(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught(server, "wren", "robin")
    server.responses["POST /v1/feedback/labels"] = (200, b'{"labelled": 1}')
    assert cli.main(["feedback", "label", "4=robbin", "--by", "Ada"]) == 2
    assert (
        "new class robbin: no gallery and no data version here has it; the nearest are robin;"
        in capsys.readouterr().err
    )
    assert [method for method, *_ in server.requests] == ["GET"]
    assert cli.main(["feedback", "label", "4=robbin", "--by", "Ada", "--new-class"]) == 0
    assert json.loads(server.requests[-1][3])["labels"] == [{"item": 4, "class": "robbin"}]
