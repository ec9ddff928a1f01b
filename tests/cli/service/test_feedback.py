"""`kshot feedback` from a person's view: the list, labels all or none, and a data version of them with its origin."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from kshot import cli
from kshot.lifecycle.data import data_versions, feedback_ledger
from kshot.lifecycle.data.changes import add_version
from tests.lifecycle import raw_project
from tests.serve.recorded_service import STATE, Recorded, recorded

ITEM = {
    "item": 41,
    "request": "r41",
    "gallery": "birds",
    "requested": "2026-11-28T10:00:00Z",
    "model_version": "3",
    "revision": 7,
    "label": "wren",
    "probability": 0.5,
    "margin": 0.1,
    "distance": 3.0,
    "unknown": True,
    "challenger": None,
    "given": None,
    "by": None,
    "at": None,
}
GIVEN = ITEM | {"item": 42, "request": "r42", "unknown": False, "given": "owl", "by": "Ada", "at": ITEM["requested"]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorded]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with recorded() as server:
        monkeypatch.setenv("KSHOT_AT", server.at)
        yield server


def listed(server: Recorded, *items: dict[str, object]) -> None:
    server.responses["GET /v1/feedback"] = (200, json.dumps({"items": items, "next": None}).encode())


def taught(server: Recorded, *names: str) -> None:
    classes = [{"name": name, "examples": 1} for name in names]
    gallery = STATE | {"name": "birds", "classes": classes, "unknown_threshold": None, "created": ITEM["requested"]}
    server.responses["GET /v1/galleries"] = (200, json.dumps({"galleries": [gallery]}).encode())


def test_the_list_says_what_was_answered_and_saves_the_images(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(server, ITEM, GIVEN)
    kinds = {41: "PNG", 42: "JPEG"}
    for item, kind in kinds.items():
        Image.new("L", (2, 2)).save(content := BytesIO(), kind)
        server.responses[f"GET /v1/feedback/{item}/image"] = (200, content.getvalue())
    assert cli.main(["feedback", "list", "--order", "margin", "--gallery", "birds", "--save", "seen"]) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["41", "2026-11-28", "10:00", "birds", "unknown", "(nearest", "wren)"]
    assert second.split() == ["42", "2026-11-28", "10:00", "birds", "wren", "50.0", "%", "owl", "by", "Ada"]
    assert server.requests[0][1] == "/v1/feedback?order=margin&limit=500&gallery=birds"
    saved = {file.name: file.read_bytes() for file in (tmp_path / "seen").iterdir()}
    assert saved == {
        "41.png": server.responses["GET /v1/feedback/41/image"][1],
        "42.jpg": server.responses["GET /v1/feedback/42/image"][1],
    }


def test_an_empty_list_says_how_to_log(server: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    listed(server)
    assert cli.main(["feedback", "list"]) == 0
    assert capsys.readouterr().out == "nothing is logged; start the service with --log unknown, sample or all\n"


def test_groups_of_unknown_images_are_listed_saved_and_labelled_in_one_go(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"model_version": "3", "revision": 7, "radius": 8.0, "groups": [{"items": [41, 43]}, {"items": [42]}]}
    server.responses["GET /v1/galleries/birds/unknown"] = (200, json.dumps(found).encode())
    for item in (41, 42, 43):
        server.responses[f"GET /v1/feedback/{item}/image"] = (200, str(item).encode())
    taught(server, "owl")
    assert cli.main(["feedback", "groups", "birds", "--save", "seen"]) == 0
    assert capsys.readouterr().out.splitlines() == ["group 1, 2 images: 41,43", "group 2, 1 image: 42"]
    saved = {file.relative_to(tmp_path / "seen").as_posix() for file in (tmp_path / "seen").glob("*/*")}
    assert saved == {"1/41", "1/43", "2/42"}
    server.responses["POST /v1/feedback/labels"] = (200, b'{"labelled": 2}')
    assert cli.main(["feedback", "label", "41,43=owl", "--by", "Ada"]) == 0
    sent = json.loads(server.requests[-1][-1])
    assert sent["labels"] == [{"item": 41, "class": "owl"}, {"item": 43, "class": "owl"}]


def test_labels_come_from_the_line_and_from_a_table(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.responses["POST /v1/feedback/labels"] = (200, b'{"labelled": 3}')
    taught(server, "a/b", "wren", "c=d")
    (tmp_path / "labels.csv").write_bytes("Item;Class\r\n1;a/b\r\n2;wren\r\n".encode("utf-16"))  # as Excel writes it
    assert cli.main(["feedback", "label", "3=c=d", "--from", "labels.csv", "--by", "Ada"]) == 0
    assert capsys.readouterr().out == "3 images labelled\n"
    labels = [{"item": 1, "class": "a/b"}, {"item": 2, "class": "wren"}, {"item": 3, "class": "c=d"}]
    assert json.loads(server.requests[-1][3]) == {"labels": labels, "by": "Ada"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "no label is given; needs ITEM=CLASS"),
        (["robin"], 2, "'robin' is no label; needs an item and its class, such as 41=robin"),
        (["1="], 2, "'1=' is no label"),
        (["--from", "no.csv"], 3, "no.csv is no file; needs a CSV with the columns item,class"),
        (["--from", "wrong.csv"], 3, "wrong.csv has the columns id, class; needs item, class"),
        (["--from", "row.csv"], 3, "row.csv, row 3 has no item or no class"),
    ],
)
def test_labels_that_cannot_be_meant_are_refused(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    (tmp_path / "wrong.csv").write_text("id,class\n1,a\n")
    (tmp_path / "row.csv").write_text("item,class\n1,a\n2,\n")
    assert cli.main(["feedback", "label", *arguments]) == code
    assert told in capsys.readouterr().err and server.requests == []


def test_labelled_images_become_a_data_version_that_says_who_labelled_them(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = raw_project.make(tmp_path / "root")
    add_version.add(root, str(raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 2})))
    monkeypatch.chdir(root)
    listed(server)
    assert cli.main(["feedback", "add-data"]) == 3
    assert "no logged image has a label; give some: kshot feedback label ITEM=CLASS" in capsys.readouterr().err
    listed(server, GIVEN)
    server.responses["GET /v1/feedback/42/image"] = (200, raw_project.image("asked"))
    assert cli.main(["feedback", "add-data", "--note", "spring"]) == 0
    version = data_versions.current(root)
    assert version is not None and (version.source, version.note, version.images) == ("feedback", "spring", 5)
    assert f"data version {version.short}: 5 images, 3 classes" in capsys.readouterr().out
    (origin,) = feedback_ledger.of_version(root, version.md5)
    assert (origin.request, origin.class_name, origin.by, origin.predicted) == ("r42", "owl", "Ada", "wren")
    assert cli.main(["feedback", "add-data"]) == 0
    assert "has every labelled image already; nothing changed" in capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert cli.main(["audit", "--data", version.short, "--json"]) in (0, 10)
    found = json.loads(capsys.readouterr().out)
    assert [(one["request"], one["by"]) for one in found["feedback"]] == [("r42", "Ada")]
    told = "1 image from 1 request to the service, labelled by Ada (1)"
    assert [one["says"] for one in found["links"] if one["name"] == "feedback"] == [told]
