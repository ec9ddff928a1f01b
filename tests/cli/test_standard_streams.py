"""A command whose output is read in part, or by nobody, ends without a traceback and with the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import cli

REPOSITORY = Path(__file__).parents[2]
KSHOT = [sys.executable, "-m", "kshot.cli"]


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("typed", [["--version"], ["data", "--help"], ["data", "versions"]], ids=" ".join)
def test_a_reader_that_has_enough_is_no_error(typed: list[str], unbuffered: str) -> None:
    ended = run([*KSHOT, *typed], stdout=read_by_nobody(), unbuffered=unbuffered)
    assert (ended.returncode, ended.stderr) == (cli.READER_GONE, "")


@pytest.mark.parametrize(("typed", "code"), [(["nosuch"], 2), (["data", "diff", "a", "b"], 3)], ids=["usage", "error"])
def test_the_exit_code_is_that_of_an_error_whose_message_nobody_reads(typed: list[str], code: int) -> None:
    assert run([*KSHOT, *typed], stderr=read_by_nobody()).returncode == code


def test_streams_that_the_caller_closed_are_opened_before_a_file_gets_their_number() -> None:
    check = "import os, sys; from kshot import cli; sys.argv[1:] = ['--version']\n"
    check += "try: cli.main()\nfinally: assert open('/dev/null').fileno() > 2 and os.get_inheritable(1)"
    ended = run(["bash", "-c", '"$@" <&- >&-', "bash", sys.executable, "-c", check])
    assert (ended.returncode, ended.stderr) == (0, "")


def test_help_on_a_full_disk_ends_with_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ended = run([*KSHOT, "--version"], stdout=full.fileno())
    assert ended.returncode == 1 and ended.stderr.startswith("kshot: error: the disk is full")
    assert ended.stderr.count("\n") == 1


def read_by_nobody() -> int:
    """The write end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def run(
    command: list[str], *, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE, unbuffered: str = ""
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(command, cwd=REPOSITORY, env=env, stdout=stdout, stderr=stderr, text=True, check=False)
