"""The harness of the journeys detects results that differ from a step's expectation."""

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys import bytecode
from tests.journeys.blocks import REPOSITORY
from tests.journeys.person import Ended, Person, clone
from tests.journeys.steps import Journey, Step, problems

STEP = Step("a", shows=(r"version \d is champion",), hides=("version 2",))


@pytest.mark.parametrize(
    ("code", "output", "wrong"),
    [
        (0, "version 1\n  is champion", ""),
        (10, "version 1 is champion", "exit code 10, not 0"),
        (0, "version 1", r"does not show 'version \\d is champion'"),
        (0, "version 2 is champion", "shows 'version 2'"),
        (0, "version 1 is champion\nTraceback (most recent call last):", "shows 'Traceback'"),
    ],
)
def test_a_step_is_checked_by_its_exit_code_and_its_output(code: int, output: str, wrong: str) -> None:
    assert problems(STEP, Ended("a", code, output, 1.0)) == wrong


def person(folder: Path) -> Person:
    (folder / "project").mkdir()
    return Person(folder / "project", Path(sys.executable).parent, {"CLASS": "robin"})


def test_a_command_runs_in_the_project_and_knows_the_names_of_the_steps(tmp_path: Path) -> None:
    ended = person(tmp_path).types("basename $PWD; echo $CLASS >&2; exit 3")
    assert (ended.code, ended.output) == (3, "project\nrobin\n")


def test_a_command_that_serves_gets_ctrl_c_once_it_has_said_so(tmp_path: Path) -> None:
    ended = person(tmp_path).types(
        "trap 'echo ended; exit 0' INT; echo ready; while true; do sleep 0.1; done", until="ready"
    )
    assert (ended.code, ended.output) == (0, "ready\nended\n")


def test_after_a_step_that_all_need_no_other_is_walked(tmp_path: Path) -> None:
    journey = Journey(person(tmp_path))
    with pytest.raises(AssertionError, match="exit code 1, not 0"):
        journey.walk(Step("false", needed=True))
    with pytest.raises(AssertionError, match="not walked: `false` failed before"):
        journey.walk(Step("true"))


def test_a_piece_of_python_prints_the_value_of_its_last_line(tmp_path: Path) -> None:
    ended = person(tmp_path).runs_python(
        ("import os", "", "for _ in range(2):", "    pass", "len(", "    'abc')   # why")
    )
    assert (ended.code, ended.output) == (0, "3\n")


def test_what_a_clone_pushes_does_not_come_into_this_repository(tmp_path: Path) -> None:
    person = Person(clone(tmp_path / "kshot"), Path(sys.executable).parent)
    ended = person.types(
        "git push -q origin HEAD:refs/journeys/pushed && git -C ../kshot.git rev-parse refs/journeys/pushed HEAD"
    )
    assert ended.code == 0 and len(set(ended.output.split())) == 1
    assert (
        "refs/journeys"
        not in subprocess.run(["git", "for-each-ref"], cwd=REPOSITORY, capture_output=True, text=True).stdout
    )


def test_lent_bytecode_is_used_for_the_same_source_and_not_for_another(tmp_path: Path) -> None:
    packages, place = tmp_path / "packages", tmp_path / "environment" / bytecode.BELOW
    for name in ("same", "other"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("text = 'lent'")
        py_compile.compile(str(packages / name / "__init__.py"))
    bytecode.lend(tmp_path / "environment", packages)
    os.link(packages / "same/__init__.py", place / "same/__init__.py")
    (place / "other/__init__.py").write_text("text = 'its own'")
    lent = [path.stat().st_ino for path in sorted(place.rglob("*.pyc"))]
    ran = [sys.executable, "-c", "import same, other; print(same.text, other.text)"]
    ended = subprocess.run(ran, env={"PYTHONPATH": str(place)}, capture_output=True, text=True, check=True)
    assert ended.stdout == "lent its own\n"
    after = [path.stat().st_ino for path in sorted(place.rglob("*.pyc"))]
    assert (lent[0] != after[0], lent[1] == after[1]) == (True, True)  # other, same
