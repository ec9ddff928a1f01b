"""The project's lock: one writer at a time, released however the writer ends."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kshot.errors import Busy
from kshot.lifecycle.project import project_lock

HOLD = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from kshot.lifecycle.project import project_lock as lock
    with lock.hold(Path(sys.argv[1]), "kshot retrain"):
        print("held", flush=True)
        time.sleep(60)
""")


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock of tmp_path."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_project(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    with (
        pytest.raises(Busy, match=rf"`kshot retrain` \(process {other.pid}\) .* since 20..-"),
        project_lock.hold(tmp_path, "x"),
    ):
        pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_lock_is_free_when_its_holder_is_gone(tmp_path: Path, other: subprocess.Popen[str], how: int) -> None:
    other.send_signal(how)
    other.wait(timeout=10)
    with project_lock.hold(tmp_path, "kshot data add"):
        pass


def test_the_same_process_may_enter_again_and_still_holds_it_afterwards(tmp_path: Path) -> None:
    with project_lock.hold(tmp_path, "kshot retrain"):
        with project_lock.hold(tmp_path, "the flow"):
            pass
        told = subprocess.run(
            [sys.executable, "-c", HOLD, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
        )
    assert "Busy: `kshot retrain` (process" in told.stderr


def test_a_look_at_the_holder_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [False]  # who looks at the lock has it for a moment, without a name in it
    acquired = project_lock._acquired
    monkeypatch.setattr(project_lock, "_acquired", lambda file: free.pop() if free else acquired(file))
    with project_lock.hold(tmp_path, "kshot data add"):
        pass


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), project_lock.hold(tmp_path, "x"):
        raise ZeroDivisionError
    with project_lock.hold(tmp_path, "y"):
        assert '"y"' in (tmp_path / project_lock.LOCK).read_text()
    assert (tmp_path / project_lock.LOCK).read_text().strip() == ""


def test_a_full_disk_keeps_no_command_from_holding_it_again(tmp_path: Path) -> None:
    """The file stays as long as it was, so that `kshot prune`, which makes room, needs none."""
    path = tmp_path / project_lock.LOCK
    with project_lock.hold(tmp_path, "kshot " + "x" * 1000):
        size = path.stat().st_size
    for command in ("kshot prune", "kshot data add"):
        with project_lock.hold(tmp_path, command):
            held = project_lock._holder(path)
            assert held is not None and held.command == command and path.stat().st_size == size
        assert path.stat().st_size == size
