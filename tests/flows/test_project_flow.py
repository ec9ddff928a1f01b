"""A project's own `flows/retrain.py` is the flow that runs, and its errors are reported in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from kshot.errors import KshotError
from kshot.flows import at_commit, project_flow
from kshot.flows.retrain import retrain
from kshot.lifecycle.project import new_project

FLOW = """from prefect import flow

from flows import beside


@flow(name="retrain")
def retrain(root: str = ".", allow_unrecorded: bool = False) -> str:
    return beside.WORD
"""


@pytest.fixture(autouse=True)
def own_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("flows", "flows.beside", project_flow.MODULE):
        monkeypatch.delitem(sys.modules, name, raising=False)


def write(root: Path, text: str) -> Path:
    (root / "flows").mkdir(parents=True, exist_ok=True)
    (root / "flows/retrain.py").write_text(text)
    return root


def test_the_project_s_flow_goes_before_the_shipped_one(tmp_path: Path) -> None:
    assert project_flow.load(tmp_path) is retrain
    root = write(tmp_path, FLOW)
    (root / "flows/beside.py").write_text("WORD = 'ours'\n")
    assert project_flow.load(root).fn() == "ours"


def test_a_new_project_runs_the_shipped_story(tmp_path: Path) -> None:
    new_project.make(tmp_path / "shop")
    found = project_flow.load(tmp_path / "shop")
    assert found.name == "retrain" and found.on_failure_hooks == retrain.on_failure_hooks


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "import nowhere_to_be_found\n",
            r"retrain\.py:1 cannot be imported: ModuleNotFoundError: .*nowhere",
        ),
        ("\n\ndef retrain(:\n", r"retrain\.py:3 cannot be imported: SyntaxError: "),
        ("def retrain():\n    pass\n", "retrain.py has no flow `retrain`"),
        ("from prefect import flow\n\n@flow\ndef retrain():\n    pass\n", "needs root and allow_unrecorded"),
    ],
)
def test_a_flow_that_cannot_run_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(KshotError, match=told) as raised:
        project_flow.load(write(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_scheduled_retraining_runs_the_flow_of_its_commit(tmp_path: Path) -> None:
    """In a process of its own, as Prefect's runner starts one: the flow is the commit's, not the folder's."""
    new_project.make(root := tmp_path / "shop")
    step = '        steps.say("our own step")\n'
    flow = root / "flows/retrain.py"
    flow.write_text(
        flow.read_text().replace("        steps.ready_data(run)\n", f"{step}        steps.ready_data(run)\n")
    )
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *identity, "commit", "-qam", "a step"], cwd=root, check=True)
    commit = at_commit.resolve(root, "HEAD")
    flow.write_text("raise RuntimeError('edited since')\n")
    code = (
        "import inspect, sys; from pathlib import Path; from kshot.flows import at_commit as a\n"
        "with a.checked_out(Path(sys.argv[1]), sys.argv[2]) as tree:\n"
        "    a.use_code_of(tree)\n"
        "    print(inspect.getsource(a.flow_of(tree).fn))\n"
    )
    command = [sys.executable, "-c", code, str(root), commit]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert step in ended.stdout
