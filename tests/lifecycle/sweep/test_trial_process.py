"""The process of a trial: the stages that it runs, and that it ends with its sweep."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kshot.lifecycle.pipeline.graph import Stage
from kshot.lifecycle.project import git
from kshot.lifecycle.sweep import local_trials, trial_process, trial_queue
from tests.lifecycle.sweep.finished_trials import trial

# A sweep whose trial has begun to work; both would go on for a minute.
SWEEP = """
import os, subprocess, sys
trial = '''
import os, sys, time
from kshot.lifecycle.sweep import trial_process
trial_process._end_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
'''
subprocess.run([sys.executable, "-c", trial, str(os.getpid())], start_new_session=True)
"""


def test_a_trial_runs_what_training_needs_and_never_the_evaluation() -> None:
    stages = [Stage("ingest", ()), Stage("report", ("ingest",)), Stage("split", ("ingest",))]
    stages += [Stage("train", ("split",)), Stage("evaluate", ("train",))]
    assert trial_process.up_to(stages, "train") == ["ingest", "split", "train"]


def test_a_trial_ends_with_its_sweep_even_if_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", SWEEP], stdout=subprocess.PIPE, text=True) as sweep:
        assert sweep.stdout is not None
        working = psutil.Process(int(sweep.stdout.readline()))
        os.kill(sweep.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while working.is_running() and working.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it still works"
        time.sleep(0.1)


def test_a_trial_that_gets_no_worktree_fails_and_so_do_the_others_one_by_one(tmp_path: Path) -> None:
    git.run(tmp_path, "init", "--quiet")
    inputs = trial_queue.TrialInputs(tmp_path, "v9", "d0", "5w1s", "{}")
    ended = list(trial_queue.run(inputs, [trial(1), trial(2)], 2, local_trials.start))
    assert [one.trial.number for one in ended] == [1, 2]
    assert all("git worktree failed: invalid reference: v9" in one.trouble for one in ended)
    assert list((tmp_path / ".kshot").iterdir()) == []


def test_an_earlier_sweeps_trials_are_waited_for(tmp_path: Path) -> None:
    """Two trials would otherwise write one checkpoint."""
    code = f"""
import sys, time
from pathlib import Path
from kshot.lifecycle.sweep import trial_process
with trial_process.among_trials(Path({str(tmp_path)!r})):
    print("in", flush=True)
    time.sleep(1)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as earlier:
        assert earlier.stdout is not None and earlier.stdout.readline() == "in\n"
        with trial_process.among_trials(tmp_path):  # beside it, as trials of one sweep are
            assert earlier.poll() is None
        with trial_process.among_trials(tmp_path, wait_for_all=True):
            assert earlier.wait(timeout=5) == 0


@pytest.mark.parametrize(
    ("code", "lines", "told"),
    [
        (6, "loading\nkshot: error: stage train failed: x\n", "stage train failed: x"),
        (1, "kshot: error: the disk is full at a.bin; free some space\n", "the disk is full at a.bin; free some space"),
        (-9, "step 5\n", "it was ended by signal 9; often memory ran out: see the system's log"),
        (1, "Traceback\nValueError: 3\n\n", "ValueError: 3 (exit code 1; "),
        (1, "", "it said nothing (exit code 1; "),
    ],
)
def test_the_reason_of_a_failed_trial_is_its_own_error(tmp_path: Path, code: int, lines: str, told: str) -> None:
    (tmp_path / "log").write_text(lines)
    assert trial_queue.trouble_of(tmp_path / "log", code).startswith(told)
