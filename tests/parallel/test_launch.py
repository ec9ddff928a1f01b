"""Processes that end early: one line says which and why, and none is left."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from kshot.errors import StageFailed, TrainingDiverged
from kshot.parallel import launch
from kshot.parallel.launch import run_in_processes
from tests.parallel import trainings, workers


def processes(folder):
    return [int(path.read_text()) for path in folder.glob("process-*")]


def test_an_error_of_any_process_is_the_error_of_the_training():
    with pytest.raises(TrainingDiverged, match="the loss is NaN"):
        run_in_processes(workers.diverge, (), 2, "gloo")


@pytest.mark.parametrize(
    ("code", "note", "text"),
    [
        (-9, None, r"^process 1 of 3 of the training \(counted from 0\) was ended by SIGKILL, often because memory"),
        (-6, None, r"^process 1 of 3 .* was ended by SIGABRT; all processes were ended; run again"),
        (7, None, "^process 1 of 3 .* ended with code 7; "),
        (1, {"kind": "ZeroDivisionError", "message": "by zero\nand more", "trace": ""}, "ZeroDivisionError: by zero; "),
    ],
)
def test_one_line_says_which_process_ended_and_why(tmp_path, code, note, text):
    said = tmp_path / "kshot" / "attempt_0" / "1" / "stderr.log"
    said.parent.mkdir(parents=True)
    said.write_text("what(): sizes differ\n")
    if note:
        (tmp_path / "error-1.json").write_text(json.dumps(note))
    name = signal.Signals(-code).name if code < 0 else "<N/A>"
    error = launch._error_of(1, 3, code, name, tmp_path)
    assert re.search(text, str(error)) and len(str(error).splitlines()) == 1
    assert isinstance(error, StageFailed)
    assert error.block == (("what(): sizes differ",) if code in (-6, 7) else ())


@pytest.mark.services
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_no_process_outlives_the_one_that_started_it(tmp_path, how):
    code = (
        "import sys; from kshot.parallel.launch import run_in_processes; from tests.parallel import workers\n"
        "if __name__ == '__main__':\n"
        "    try:\n        run_in_processes(workers.wait, (sys.argv[1],), 2, 'gloo')\n"
        "    except KeyboardInterrupt:\n        sys.exit(130)\n"
    )
    (tmp_path / "start.py").write_text(code)
    command = [sys.executable, str(tmp_path / "start.py"), str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}) as started:
        wait_until(lambda: len(processes(tmp_path)) == 2)
        started.send_signal(how)
        code = started.wait(60)
    wait_until(lambda: not any(psutil.pid_exists(process) for process in processes(tmp_path)))
    assert code == (130 if how == signal.SIGINT else -signal.SIGKILL)


def wait_until(fact):
    end = time.monotonic() + 120
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.services
def test_a_killed_training_resumes_to_the_same_weights_in_its_layout_and_to_equal_ones_in_another(tmp_path):
    with pytest.raises(StageFailed, match="process 2 of 3 .* SIGKILL"):
        run_in_processes(workers.train_until_killed, (str(tmp_path),), 3, "gloo")
    assert len(processes(tmp_path)) == 3
    assert not any(psutil.pid_exists(process) for process in processes(tmp_path))
    assert (tmp_path / "checkpoint.safetensors").exists()
    run_in_processes(workers.resume, (str(tmp_path),), 3, "gloo")
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(value, found["whole"][name]) for name, value in found["resumed"].items())
    assert 0 < trainings.difference(found["alone"], found["whole"]) <= 1e-9
