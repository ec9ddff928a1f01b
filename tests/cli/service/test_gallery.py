"""`kshot gallery` from a person's view: output, exit codes, and what is refused before anything is sent."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kshot import cli
from tests.serve.recorded_service import STATE, Recorded, recorded

NEAREST = {"example": 4, "class": "robin", "distance": 1.5}
KNOWN = {
    "label": "robin",
    "probability": 0.91,
    "distance": 1.0,
    "unknown": False,
    "threshold": 2.0,
    "nearest": [NEAREST],
    "next": [{"class": "wren", "probability": 0.09}],
}
UNKNOWN = KNOWN | {"unknown": True, "probability": 0.5}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recorded]:
    monkeypatch.chdir(tmp_path)  # no project
    monkeypatch.setenv("COLUMNS", "200")
    with recorded() as server:
        monkeypatch.setenv("KSHOT_AT", server.at)
        yield server


def answer(server: Recorded, to: str, status: int, content: object) -> None:
    server.responses[to] = (status, json.dumps(content).encode())


def sent(server: Recorded) -> list[tuple[str, str]]:
    return [(method, path) for method, path, *_ in server.requests]


def test_each_image_is_one_line_and_an_unknown_one_says_so(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(b"x")
    asked = "POST /v1/galleries/birds/recognise"
    answer(server, asked, 200, {**STATE, "request": "r", "calibrated": False, "results": [KNOWN, UNKNOWN]})
    assert cli.main(["gallery", "recognise", "birds", "a.png", "b.png"]) == 0
    lines = [re.split(r" {2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["image", "class", "probability", "nearest example", "next"],
        ["a.png", "robin", "91.0 %", "4 of robin", "wren"],
        ["b.png", "unknown (nearest robin)", "4 of robin", "wren"],
        ["note: the probabilities are not calibrated"],
    ]
    answer(server, asked, 200, {**STATE, "request": "r", "calibrated": True, "results": [KNOWN]})
    assert cli.main(["gallery", "recognise", "birds", "a.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["nearest"] == [NEAREST]


@pytest.mark.parametrize(
    ("same", "code", "line"), [(True, 0, "yes: wren, "), (False, 1, "no: not wren, "), (None, 0, "open: ")]
)
def test_verify_answers_by_its_exit_code_too(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], same: bool | None, code: int, line: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    content = KNOWN | STATE | {"request": "r", "calibrated": True, "class": "wren", "same": same, "best": "robin"}
    answer(server, "POST /v1/galleries/birds/verify", 200, content)
    assert cli.main(["gallery", "verify", "birds", "wren", "a.png"]) == code
    assert capsys.readouterr().out.startswith(line)


def test_verify_names_no_class_for_an_image_that_recognise_calls_unknown(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    content = UNKNOWN | STATE | {"request": "r", "calibrated": True, "class": "wren", "same": False, "best": "wren"}
    answer(server, "POST /v1/galleries/birds/verify", 200, content)
    assert cli.main(["gallery", "verify", "birds", "wren", "a.png"]) == 1
    assert capsys.readouterr().out == "no: unknown, farther than 2 from every class\n"


@pytest.mark.parametrize(
    ("line", "code", "remedy"),
    [
        ("recognise x a.png", "unknown_gallery", "`kshot gallery list` lists them"),
        ("verify x wren a.png", "unknown_class", "`kshot gallery examples x` lists the classes with their images"),
        ("rename x wren --class robin", "class_exists", "add --merge to join the two"),
    ],
)
def test_a_refusal_says_what_to_type_in_a_shell(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, code: str, remedy: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    content = {"error": {"code": code, "message": "no such thing; GET /v1/galleries"}, "request": "r"}
    paths = ("POST %s/recognise", "POST %s/verify", "PATCH %s/classes/robin")
    for one in paths:
        answer(server, one % "/v1/galleries/x", 404, content)
    assert cli.main(["gallery", *line.split()]) == 15
    assert capsys.readouterr().err == f"kshot: error: no such thing; {remedy}\n"


def test_a_refusal_and_a_missing_service_have_an_exit_code_of_their_own(
    server: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"error": {"code": "gallery_exists", "message": "gallery 'birds' exists already"}, "request": "r"}
    answer(server, "POST /v1/galleries", 409, problem)
    assert cli.main(["gallery", "create", "birds"]) == 15
    assert capsys.readouterr().err == "kshot: error: gallery 'birds' exists already\n"
    assert cli.main(["gallery", "list", "--at", "http://127.0.0.1:9"]) == 15
    assert "nobody answers at http://127.0.0.1:9; start the service there: kshot serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("teach birds robin nothing.png", 3, "nothing.png does not exist; name an image file"),
        (
            "teach birds robin .",
            3,
            ". is a folder; name its images, or take in class folders with",
        ),
        ("import birds empty", 3, "empty holds no file; needs one folder a class"),
        ("forget birds 1a", 2, "'1a' is no id of an example; `kshot gallery examples birds` lists them"),
        ("threshold birds far", 2, "DISTANCE is 'far'; needs a number, or the word model"),
        ("export birds there.zip", 3, "there.zip exists; name a new file, or move that one away"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.zip").write_bytes(b"mine")
    assert cli.main(["gallery", *line.split()]) == code
    assert told in capsys.readouterr().err
    assert server.requests == [] and (tmp_path / "there.zip").read_bytes() == b"mine"


def test_an_export_names_taught_images_without_a_file(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("missing.csv", "class,name,example,sha256\nwren,1.jpg,4,ab\n")
    server.responses["GET /v1/galleries/birds/export"] = (200, content.getvalue())
    state = {"name": "birds", "classes": [], "unknown_threshold": None, "created": "2026-01-01T00:00:00Z"}
    answer(server, "GET /v1/galleries/birds", 200, {**STATE, **state})
    assert cli.main(["gallery", "export", "birds", "birds.zip"]) == 0
    assert "1 taught image without a file: listed in its missing.csv" in capsys.readouterr().out


def test_a_name_with_blanks_is_quoted_in_the_command_that_is_proposed(
    server: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"name": "my birds", "classes": [], "unknown_threshold": None, "created": "2026-01-01T00:00:00Z"}
    answer(server, "POST /v1/galleries", 201, STATE | made)
    assert cli.main(["gallery", "create", "my birds"]) == 0
    assert "teach it: kshot gallery teach 'my birds' CLASS IMAGE" in capsys.readouterr().out


def test_a_folder_is_sent_as_a_zip_without_its_hidden_files(
    server: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("birds/robin/1.jpg", "birds/wren/1.jpg", "birds/.git/config", "birds/robin/.DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    left = [{"reason": "no image", "count": 1, "files": ["wren/1.jpg"]}]
    answer(
        server, "POST /v1/galleries/g/import", 200, {**STATE, "taken": 1, "already": 0, "left_out": left, "notes": []}
    )
    assert cli.main(["gallery", "import", "g", "birds"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 image taken, 0 were there before",
        "left out 1 file: no image: wren/1.jpg",
    ]
    with zipfile.ZipFile(io.BytesIO(server.requests[-1][3])) as archive:
        assert sorted(archive.namelist()) == ["robin/1.jpg", "wren/1.jpg"]
    assert server.requests[-1][1].endswith("/import?whole_names=true"), "as `kshot data add` names a folder's classes"


def test_a_class_is_joined_to_another_only_if_told_so(server: Recorded) -> None:
    answer(server, "PATCH /v1/galleries/birds/classes/a%2Fb", 200, STATE)
    assert cli.main(["gallery", "rename", "birds", "c", "--class", "a/b"]) == 0
    assert cli.main(["gallery", "rename", "birds", "c", "--class", "a/b", "--merge"]) == 0
    assert [json.loads(body) for *_, body in server.requests] == [{"name": "c"}, {"name": "c", "merge": True}]


def test_a_deletion_says_what_went(server: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = {"name": "birds", "classes": [{"name": "robin", "examples": 3}], "unknown_threshold": None}
    answer(server, "GET /v1/galleries/birds", 200, STATE | gallery | {"created": "2026-11-28T00:00:00Z"})
    server.responses["DELETE /v1/galleries/birds"] = (204, b"")
    assert cli.main(["gallery", "delete", "birds"]) == 0
    assert capsys.readouterr().out == "gallery birds is deleted: 1 class, 3 images\n"
    assert sent(server) == [("GET", "/v1/galleries/birds"), ("DELETE", "/v1/galleries/birds")]
