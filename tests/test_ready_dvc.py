"""DVC in a fork gives the output and the exit code of `python -m dvc`."""

import subprocess
from pathlib import Path

import pytest

from tests import ready_dvc


@pytest.mark.parametrize("arguments", [["root"], ["add", "nowhere"]])
def test_it_ends_as_python_m_dvc_does(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    command = [*ready_dvc.DVC, *arguments]
    expected = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = ready_dvc.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)
