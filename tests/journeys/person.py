"""A new user's machine: a fresh clone, an environment that the clone's own commands make, and a shell."""

import ast
import dataclasses
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.journeys.blocks import REPOSITORY

PATIENCE_S = float(os.environ.get("KSHOT_TEST_PATIENCE_S", "1800"))
# What pytest and make leave in the environment is none of a new user's, whose Python writes bytecode.
FOREIGN = (
    *("PREFECT_", "MLFLOW_", "KSHOT_", "DVC_", "PYTEST_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"),
    *("MAKE", "MFLAGS", "ARGS"),
)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended: the command, its exit code, stdout and stderr together, seconds."""

    command: str
    code: int
    output: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody who works in a project: `root` is its folder, `programs` the folder of the environment's programs."""

    root: Path
    programs: Path
    names: dict[str, str] = dataclasses.field(default_factory=dict)  # more of the environment

    def types(self, command: str, *, until: str = "") -> Ended:
        """Run a line in the shell, in the project. With `until`, press Ctrl-C once it has printed that."""
        began = time.monotonic()
        log = self.root.parent / f"output-{time.monotonic_ns()}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stopped = False
        try:
            while process.poll() is None and time.monotonic() - began < PATIENCE_S:
                if until and not stopped and until in log.read_text():
                    os.killpg(process.pid, signal.SIGINT)
                    stopped = True
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Ended(command, process.wait(), log.read_text(), time.monotonic() - began)

    def runs_python(self, lines: tuple[str, ...]) -> Ended:
        """Run a piece of Python as it stands, and print the value of its last line, as a notebook does."""
        last = ast.parse("\n".join(lines)).body[-1]
        assert isinstance(last, ast.Expr), "the last line of a snippet is an expression, whose value a notebook shows"
        before, value = lines[: last.lineno - 1], "\n".join(lines[last.lineno - 1 :])
        snippet = self.root.parent / "snippet.py"
        shown = "value.to_json(orient='records') if hasattr(value, 'to_json') else value"
        snippet.write_text("\n".join([*before, f"value = (\n{value}\n)", f"print({shown})", ""]))
        return self.types(f"python {snippet}")

    def environment(self) -> dict[str, str]:
        """The environment variables of a shell in which the environment is activated, and what the steps refer to."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        # Where the tests run in an environment of their own, its programs are not on a new user's PATH.
        path = [place for place in os.get_exec_path() if place != str(Path(sys.executable).parent)]
        return {
            **kept,
            "PATH": os.pathsep.join([str(self.programs), *path]),
            "COLUMNS": "120",
            "DATA": self.data_version(),
            "TODAY": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **self.names,
        }

    def data_version(self) -> str:
        """The start of the last data version's name; empty where there is none yet."""
        ledger = self.root / "data/versions.jsonl"
        return str(json.loads(ledger.read_text().splitlines()[-1])["md5"])[:8] if ledger.exists() else ""


def clone(folder: Path) -> Path:
    """A fresh clone of this repository's last commit, in `folder`, from a server's copy beside it.

    What the person's commands push goes there, and not into this repository.
    """
    server = folder.with_suffix(".git")
    subprocess.run(["git", "clone", "-q", "--bare", REPOSITORY, server], check=True)
    subprocess.run(["git", "clone", "-q", server, folder], check=True)
    return folder
