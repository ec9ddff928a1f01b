"""DVC's commands in forks of one process: output, exit code and environment are each command's own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kshot.lifecycle.pipeline import dvc_forks

SAYS = "stages:\n  says:\n    cmd: echo $WORD $PPID in $PWD; exit $CODE\n    always_changed: true\n"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / "dvc.yaml").write_text(SAYS)
    dvc_forks._end()
    yield tmp_path
    dvc_forks._end()


def says(root: Path, word: str, code: int = 0) -> tuple[int | None, str]:
    """The exit code and the output of a stage that prints `word` and ends with `code`."""
    heard: list[str] = []
    names = {**os.environ, "WORD": word, "CODE": str(code)}
    ended = dvc_forks.run(
        ["repro", "says"], root, on_output=lambda text, _: heard.append(text), timeout_s=60, env=names
    )
    return ended, "\n".join(heard)


def server() -> int:
    assert dvc_forks._server is not None
    return dvc_forks._server[0].pid


def test_each_command_has_its_own_output_code_environment_and_process(root: Path) -> None:
    first, second = says(root, "one"), says(root, "two", code=3)
    parents = [text.split(f" in {root}")[0].split()[-1] for _, text in (first, second)]
    assert first[0] == 0 and "one " in first[1]
    assert second[0] == 255 and "two " in second[1] and "one " not in second[1] and "exited with 3" in second[1]
    assert len({*parents, str(server()), str(os.getpid())}) == 4


def test_a_server_that_was_killed_is_started_again(root: Path) -> None:
    says(root, "one")
    killed = server()
    os.kill(killed, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(killed)], timeout=10)
    assert says(root, "two")[0] == 0 and server() != killed


def test_a_server_that_cannot_start_says_why(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise ImportError('no DVC here')")
    monkeypatch.setattr(dvc_forks, "SCRIPT", script)
    code, text = says(root, "one")
    assert code == 1 and text.endswith("ImportError: no DVC here")


def test_the_server_ends_with_the_process_that_started_it_even_if_killed(root: Path) -> None:
    program = f"""
import os
from pathlib import Path
from tests.lifecycle.pipeline.test_dvc_forks import says, server
assert says(Path({str(root)!r}), "one")[0] == 0
print(server(), flush=True)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(ended.stdout)).wait(10)
