"""Supervised DVC stages: their order, output and end. Real DVC on a graph of small commands."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kshot.errors import StageFailed
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import code_read

REPOSITORY = Path(__file__).parents[3]

# Written in another order than they depend on each other.
GRAPH = r"""
stages:
  last:
    cmd: cp data/first data/last
    deps: [data/first]
    outs: [data/last]
  first:
    cmd: printf '10%%|#\r20%%|##\rdone ü\n' >&2; python -c "import sys; print(sys.prefix)"; cp source data/first
    deps: [source]
    outs: [data/first]
  folder:
    cmd: mkdir data/folder; cp source data/folder/one
    outs: [data/folder]
  refuses:
    cmd: "echo 'kshot: error: class a has 1 image; needs 2' >&2; exit 4"
    outs: [data/refuses]
  crashes:
    cmd: "echo something odd; exit 1"
    outs: [data/crashes]
  killed:
    cmd: kill -9 $$
    outs: [data/killed]
  endless:
    cmd: "sleep 300 & echo $! > data/pid; wait"
    outs: [data/endless]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copytree(REPOSITORY / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (tmp_path / "data").mkdir()
    (tmp_path / "source").write_text("one")
    (tmp_path / "dvc.yaml").write_text(GRAPH)
    return tmp_path


def run(root: Path, name: str, timeout_s: float = 60.0) -> tuple[graph.StageRun, list[tuple[str, bool]]]:
    heard: list[tuple[str, bool]] = []
    ended = graph.run_stage(
        root, name, on_output=lambda text, progress: heard.append((text, progress)), timeout_s=timeout_s
    )
    return ended, heard


def test_the_stages_come_in_the_order_of_the_graph(root: Path) -> None:
    known = {stage.name: stage.needs for stage in graph.stages(root)}
    assert known["last"] == ("first",)
    assert list(known).index("first") < list(known).index("last")
    assert set(known) == {"first", "last", "folder", "refuses", "crashes", "killed", "endless"}


def test_a_stage_runs_once_is_restored_and_is_left_alone(root: Path) -> None:
    ended, heard = run(root, "first")
    assert ended.outcome == "ran"
    # The bar's pieces are progress, DVC's own words are gone, and `python` is this interpreter.
    assert heard == [("10%|#", True), ("20%|##", True), ("done ü", False), (sys.prefix, False)]
    assert run(root, "first")[0].outcome == "unchanged"
    (root / "data/first").unlink()
    ended, heard = run(root, "first")
    assert (ended.outcome, heard) == ("restored", [])
    assert (root / "data/first").read_text() == "one"
    (root / "source").write_text("two")
    assert run(root, "first")[0].outcome == "ran"


def test_shards_that_a_stage_finished_are_deleted_when_dvc_has_its_outputs_and_notes_stay(root: Path) -> None:
    ours, others = (root / layout.UNFINISHED / stage for stage in ("first", "killed"))
    for _ in ("ran", "restored or unchanged"):
        for folder in (ours, others):
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("shard.npy", "note.json"):
                (folder / name).touch()
        run(root, "first")
        assert [path.name for path in ours.iterdir()] == ["note.json"] and (others / "shard.npy").exists()
    with pytest.raises(graph.StageKilled):
        run(root, "killed")
    assert (others / "shard.npy").exists()


def test_a_stage_that_refuses_fails_with_its_own_words_and_exit_code(root: Path) -> None:
    with pytest.raises(StageFailed) as failure:
        run(root, "refuses")
    assert str(failure.value) == "class a has 1 image; needs 2"
    assert failure.value.exit_code == 4


def test_a_stage_that_crashes_is_named_with_the_way_to_see_more(root: Path) -> None:
    with pytest.raises(StageFailed, match=r"stage crashes failed: .*exited with 1; .*dvc repro --single-item crashes"):
        run(root, "crashes")


@pytest.mark.parametrize("text", ["No space left on device", "Disk quota exceeded"])
def test_a_stage_whose_outputs_dvc_cannot_store_on_a_full_disk_is_named_so(text: str) -> None:
    said = [f"ERROR: failed to transfer '0139' - [Errno 28] {text}: 'model/a' -> 'c'", "ERROR: failed to reproduce"]
    assert str(graph._failure("train", said)).startswith("stage train: the disk is full at c; free some space")


def test_a_stage_whose_outputs_dvc_could_not_store_fails_although_dvc_ends_with_0(root: Path) -> None:
    place = root / ".dvc/cache/files/md5" / hashlib.md5(b"one").hexdigest()[:2]
    place.parent.mkdir(parents=True)
    place.symlink_to("nowhere")  # DVC can make no file in it, as on a full disk
    with pytest.raises(StageFailed, match="stage folder failed: DVC could not store data/folder in its cache"):
        run(root, "folder")
    place.unlink()
    ended, heard = run(root, "folder")
    assert ended.outcome == "ran"
    assert not any("failed to transfer" in text for text, _ in heard)


def test_a_killed_stage_can_be_told_from_one_that_failed(root: Path) -> None:
    with pytest.raises(graph.StageKilled, match="ended by signal 9"):
        run(root, "killed")


def test_the_time_limit_ends_the_stage_and_its_children(root: Path) -> None:
    with pytest.raises(StageFailed, match="stage endless ran longer than its limit of 15 s"):
        run(root, "endless", timeout_s=15)
    assert gone(int((root / "data/pid").read_text()))


def test_an_exception_here_ends_the_stage_too(root: Path) -> None:
    def interrupt(text: str, progress: bool) -> None:
        raise KeyboardInterrupt

    (root / "dvc.yaml").write_text(GRAPH.replace("echo $! > data/pid;", "echo $! > data/pid; echo go;"))
    with pytest.raises(KeyboardInterrupt):
        graph.run_stage(root, "endless", on_output=interrupt, timeout_s=60)
    assert gone(int((root / "data/pid").read_text()))


def gone(pid: int) -> bool:
    """Whether process `pid` ended, given two seconds for the kernel to say so."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


EDITED = r"""
stages:
  slow:
    cmd: cp source copy && cp edited source 2>/dev/null || true
    deps: [source]
    outs: [copy]
"""


def test_an_input_that_is_edited_while_the_stage_runs_stops_it_and_leaves_no_record(root: Path) -> None:
    (root / "dvc.yaml").write_text(EDITED)
    (root / "edited").write_text("two")
    with pytest.raises(StageFailed, match="source changed while stage slow ran"):
        run(root, "slow")
    assert not (root / "dvc.lock").exists()
    # Neither does the run cache hold that `two` gives the copy of `one`.
    assert (root / "source").read_text() == "two"
    assert run(root, "slow")[0].outcome == "ran"
    assert (root / "copy").read_text() == "two"


def test_a_param_that_is_edited_while_the_stage_runs_stops_it(root: Path) -> None:
    (root / "params.yaml").write_text("a: 1\n")
    (root / "dvc.yaml").write_text(
        "stages:\n  slow:\n    cmd: 'cp source copy && echo \"a: 2\" > params.yaml'\n"
        "    deps: [source]\n    params: [a]\n    outs: [copy]\n"
    )
    with pytest.raises(StageFailed, match="params.yaml changed while stage slow ran"):
        run(root, "slow")


def test_a_lock_that_another_process_holds_is_worth_another_try(root: Path) -> None:
    from dvc.repo import Repo

    with Repo(str(root)) as repo, repo.lock, pytest.raises(graph.StageBusy, match="held DVC's lock"):
        run(root, "first")


def test_code_that_is_edited_while_the_stage_runs_stops_it_and_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = {"kshot/losses/triplet.py": "0", "kshot/errors.py": "1"}
    monkeypatch.setattr(code_read, "fingerprints", lambda *_: dict(now))
    (root / "dvc.yaml").write_text(
        "stages:\n  slow:\n    cmd: cp source copy && echo done\n    deps: [source]\n"
        "    params: [fingerprints/slow.json: ]\n    outs: [copy]\n"
    )
    assert run(root, "slow")[0].outcome == "ran"
    assert run(root, "slow")[0].outcome == "unchanged"
    now["kshot/losses/triplet.py"] = "2"

    def edit(text: str, progress: bool) -> None:
        now["kshot/losses/triplet.py"] = "3"

    with pytest.raises(StageFailed, match="^kshot/losses/triplet.py changed while stage slow ran"):
        graph.run_stage(root, "slow", on_output=edit, timeout_s=60)
    now["kshot/losses/triplet.py"] = "0"
    assert run(root, "slow")[0].outcome == "unchanged"
    now["kshot/losses/triplet.py"] = "2"
    assert run(root, "slow")[0].outcome == "ran"


def test_dvc_status_names_the_file_of_code(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"kshot/losses/triplet.py": "0", "kshot/errors.py": "1"}
    monkeypatch.setattr(code_read, "fingerprints", lambda *_: dict(now))
    (root / "dvc.yaml").write_text(
        "stages:\n  slow:\n    cmd: cp source copy\n    deps: [source]\n"
        "    params: [fingerprints/slow.json: ]\n    outs: [copy]\n"
    )
    run(root, "slow")
    now |= {"kshot/losses/triplet.py": "2", "kshot/fresh.py": "3"}
    del now["kshot/errors.py"]
    assert not graph.is_current(root, "slow")
    command = [sys.executable, "-m", "dvc", "status", "--json", "slow"]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    (changes,) = json.loads(told)["slow"]
    assert changes["changed deps"]["fingerprints/slow.json"] == {
        "kshot/losses/triplet.py": "modified",
        "kshot/fresh.py": "new",
        "kshot/errors.py": "deleted",
    }
