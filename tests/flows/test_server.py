"""Prefect's temporary server lives as long as the process that started it, however that one ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

STARTER = """
import sys, time
from pathlib import Path
from flows import server
started = server.launch(Path(sys.argv[1]))
print(started.process.pid, flush=True)
time.sleep(600)
"""


def test_the_server_of_a_killed_process_ends(tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
    server.wait(timeout=120)
