"""The commands and the Python of docs/serve.md, run one after another against a service of a small project."""

import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from kshot import cli
from kshot.serve.app import create_app
from kshot.serve.service import open_service
from kshot.serve.settings import ServeSettings
from tests.journeys.blocks import REPOSITORY, blocks
from tests.serve.conftest import classes, letters, project, template  # noqa: F401

PAGE = REPOSITORY / "docs/serve.md"
# Run elsewhere: tests/journeys/test_serve.py starts the process, tests/cli/service/test_feedback.py adds data.
ELSEWHERE = re.compile(r"pip install .*|kshot serve( --allow-host .*)?|kshot feedback add-data .*")


@pytest.fixture
def at(project: Path, classes: dict[str, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: F811
    """The address of a service that logs everything; the images that the page names lie in the project."""
    for name, images in zip(("robin", "wren"), classes.values(), strict=False):
        (project / name).mkdir()
        for number, image in enumerate(images[:5]):
            (project / name / f"{number}.png").write_bytes(image)
        (project / "garden.png").write_bytes(images[5])
    (project / "labels.csv").write_text("item,class\n1,robin\n2,wren\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(project))
    app = create_app(open_service(project, ServeSettings(device="cpu", log="all")))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    monkeypatch.setenv("KSHOT_AT", f"http://127.0.0.1:{port}")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_each_command_and_the_python_of_the_page_run(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [command for block in blocks(PAGE) for command in block.commands if not ELSEWHERE.fullmatch(command)]
    assert len(found) > 15
    for command in found:
        program, *arguments = [part for word in shlex.split(command) for part in (_matching(word) or [word])]
        if program == "kshot":
            assert cli.main(arguments) in ((0, 1) if "verify" in arguments else (0,)), capsys.readouterr().err
        else:
            program = sys.executable if program == "python" else program
            subprocess.run([program, *arguments], check=True, timeout=60)
        if "suspects" in arguments:
            (snippet,) = (block for block in blocks(PAGE) if block.is_python)
            exec(compile("\n".join(snippet.lines).replace("http://127.0.0.1:8000", at), str(PAGE), "exec"), {})
    assert "2 images labelled" in capsys.readouterr().out
    assert Path("birds.zip").stat().st_size > 1000
    assert len(list(Path("looked-at").iterdir())) == 2  # one asked by the shell, one by Python
    assert Path("images-backup").is_dir() and Path("galleries-backup.db").stat().st_size > 1000


def test_the_limits_are_those_of_the_settings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"KSHOT_SERVE_([A-Z_]+)", text))
    known = {name.upper() for name in ServeSettings.__dataclass_fields__}
    assert named <= known
    default = ServeSettings()
    assert (default.body_bytes, default.import_bytes, default.image_pixels) == (64 * 2**20, 2 * 2**30, 50_000_000)
    assert (default.images_per_request, default.requests_per_second, default.name_characters) == (64, 200, 200)
    assert (default.log_images, default.log_days, default.log_share, default.poll_seconds) == (10_000, 90, 0.1, 3)


def _matching(word: str) -> list[str]:
    return sorted(str(path) for path in Path().glob(word)) if "*" in word else []
