"""A stage's process: its exit code and its one line, for any error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]

STAGE = """
import errno, signal, os
from pathlib import Path
from kshot.errors import DataError, ValidationFailed
from kshot.lifecycle.stages.entry import stage_main

def run(root, params):
    print(root.name, params.ingest.size, os.environ["DVC_NO_ANALYTICS"])
    {body}

stage_main(run)
"""


def stage(folder: Path, body: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a stage of this body in `folder`."""
    text = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    if not (folder / "params.yaml").exists():
        (folder / "params.yaml").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", STAGE.format(body=body)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_stage_gets_the_folder_and_the_params_and_no_telemetry(tmp_path: Path) -> None:
    ended = stage(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{tmp_path.name} 28 1\n", "")


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("raise DataError('no image; add some')", 3, "no image; add some"),
        ("raise ValidationFailed('too few')", 4, "too few"),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "interrupted; the next run continues from the last checkpoint"),
        (
            "raise OSError(errno.ENOSPC, 'No space left', 'x.npy')",
            1,
            "the disk is full at x.npy; free some space and run again, nothing was lost",
        ),
        ("Path('/dev/full').write_text('x')", 1, "the disk is full; free some space and run again, nothing was lost"),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path: Path, body: str, code: int, line: str) -> None:
    if "/dev/full" in body and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ended = stage(tmp_path, body)
    assert (ended.returncode, ended.stderr) == (code, f"kshot: error: {line}\n")


def test_missing_params_are_one_line_and_a_block_of_what_to_add(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("ingest: {size: 28}\n")
    ended = stage(tmp_path)
    error, *block = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert error.startswith("kshot: error: params.yaml: 11 keys are missing: ")
    assert block and all(line.startswith("kshot:   ") for line in block)


def test_the_traceback_is_shown_on_demand(tmp_path: Path) -> None:
    ended = stage(tmp_path, "raise DataError('no image')", KSHOT_DEBUG="1")
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr
    assert "no image" in ended.stderr


def test_a_defect_of_our_own_keeps_its_traceback(tmp_path: Path) -> None:
    ended = stage(tmp_path, "assert 1 == 2")
    assert ended.returncode == 1
    assert "AssertionError" in ended.stderr
