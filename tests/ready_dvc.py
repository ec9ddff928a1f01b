"""Runs `python -m dvc` for a test's own process in a fork that has imported DVC: a quarter of the processor time.

A process of its own it is all the same, with its own memory, output and exit code.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import ready_process

DVC = [sys.executable, "-m", "dvc"]


def start_dvc_ready() -> None:
    """Let `working_copy.dvc`, where it is imported, start DVC by `run`."""
    module: Any = sys.modules.get("kshot.lifecycle.data.working_copy")
    if module is not None and module.subprocess is subprocess:
        module.subprocess = SimpleNamespace(run=run)


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, **others: object
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of `python -m dvc ...` with its output captured as text, whatever its exit code."""
    assert command[:3] == DVC and others == {"capture_output": True, "text": True, "check": False}
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder, name)) for name in ("out", "err")]
        started = ready_process.start(_dvc, str(cwd), outputs, list(command[3:]), names=env)
        code = ready_process.ended(started)
        out, err = (Path(output).read_text() for output in outputs)
    return subprocess.CompletedProcess(command, code, out, err)


def _dvc(folder: str, outputs: list[str], arguments: list[str]) -> None:
    for number, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    from dvc.cli import main

    sys.exit(main(arguments))
