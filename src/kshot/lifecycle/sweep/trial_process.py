"""The process of one trial: runs the stages up to train in a worktree, and predicts the validation episodes.

    python -m kshot.lifecycle.sweep.trial_process HOME PLACE PROTOCOL PARENT

in the worktree; the result goes to PLACE. It ends with the process PARENT, even if that was killed.
"""

import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from kshot import full_disk, plugins
from kshot.errors import KshotError
from kshot.lifecycle.pipeline import durations, graph
from kshot.lifecycle.project import layout, no_telemetry, processes
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.project.private_state import private_state
from kshot.lifecycle.sweep import trial_result
from kshot.lifecycle.sweep.trial_result import TrialResult
from kshot.lifecycle.tracking import lineage
from kshot.lifecycle.tracking.curves import read_log
from kshot.params.schema import load_params
from kshot.redaction import guard, redacted

TRAIN = "train"
LIMIT_S = 7 * 24 * 3600.0  # as for stage train of a retraining
LOOK_S = 0.2  # between two looks at the parent
WORKERS = "sweep-trials.lock"  # of .kshot: shared by the trials of a sweep while they run


def run(tree: Path, home: Path, place: Path, protocol: str) -> None:
    """Run one trial in `tree` and store its result at `place`. Raises KshotError."""
    plugins.use_project(tree)
    for name in up_to(graph.stages(tree), TRAIN):
        # The first trial computes the shared stages, and DVC's run cache has them for the others.
        alone = contextlib.nullcontext() if name == TRAIN else exclusive(home, "sweep-stages")
        with alone:
            ended = graph.run_stage(tree, name, on_output=_print, timeout_s=LIMIT_S)
        if ended.outcome == "ran":
            durations.note(tree, name, ended.seconds)
        print(f"{name:<9} {ended.outcome} ({ended.seconds:.1f} s)", flush=True)
    from kshot.lifecycle.sweep.validation_accuracy import validation_accuracy  # torch takes seconds to import

    found = validation_accuracy(tree, load_params(tree / "params.yaml"), protocol)
    done = read_log(tree / layout.TRAIN_LOG)[-1]
    result = TrialResult(
        protocol=found.protocol,
        episodes=found.episodes,
        by=found.by,
        accuracies=tuple(float(one) for one in found.accuracies),
        seconds=float(done["seconds"]),
        step=int(done["step"]),
        reason=str(done["reason"]),
        tags=lineage.lineage(tree).tags(),
    )
    trial_result.write(result, tree, place)


def up_to(stages: list[graph.Stage], last: str) -> list[str]:
    """The names of the stage `last` and of those that it needs, in order."""
    needs = {stage.name: stage.needs for stage in stages}
    wanted, left = set(), [last]
    while left:
        name = left.pop()
        if name not in wanted:
            wanted.add(name)
            left += needs[name]
    return [stage.name for stage in stages if stage.name in wanted]


@contextlib.contextmanager
def among_trials(home: Path, *, wait_for_all: bool = False) -> Iterator[None]:
    """Count as a running trial in the block. `wait_for_all`: enter when none of an earlier sweep is left instead."""
    with (private_state(home) / WORKERS).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait_for_all else fcntl.LOCK_SH)
        yield


def _end_with(parent: int) -> None:
    """Interrupt this process when `parent` is gone; a trial without a sweep would hold the machine."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(2 * processes.GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="end with the sweep", daemon=True).start()


def _print(text: str, progress: bool) -> None:
    if not progress:
        print(text, flush=True)


def _fail(message: str, code: int) -> int:
    if os.environ.get("KSHOT_DEBUG") == "1":
        raise
    print(redacted(f"{graph.ERROR_PREFIX}{message}"), flush=True)
    return code


def main(arguments: list[str]) -> int:
    """Run the trial of the command line, and return the exit code."""
    home, place, protocol, parent = arguments
    guard()
    no_telemetry.silence_telemetry()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with(int(parent))
    try:
        with among_trials(Path(home)):
            run(Path.cwd(), Path(home), Path(place), protocol)
    except KshotError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        if not full_disk.is_full(error):
            raise
        return _fail(f"{full_disk.message(error)}; free some space", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
